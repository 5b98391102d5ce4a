//! A host that was evicted while its containers ran: what they use is another's now.

use super::*;

/// Everything in the kernel that lets this address be reached.
async fn traces(agent: &Agent, endpoint: &str, address: &str) -> Vec<String> {
    let observed = agent.observed().await;
    let routes = observed.routes.iter().map(ToString::to_string);
    let proxies = observed.proxies.iter().map(|proxy| proxy.address.to_string());
    let sentences = observed.firewall.into_iter().flatten();
    let about = routes.chain(proxies).chain(sentences).filter(|it| it.contains(address));
    about.chain(observed.ports.contains_key(&IfName::port(endpoint)).then(|| "port".to_owned())).collect()
}

#[tokio::test]
async fn a_revoked_address_falls_silent_and_others_are_left_alone() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "10.50.0.7", port(8080, 80)).await;
    agent.run(E2, "10.50.0.8", port(8081, 80)).await;
    let others = traces(&agent, E2, "10.50.0.8").await;
    assert!(!traces(&agent, E, "10.50.0.7").await.is_empty() && !others.is_empty());
    agent.addresses.revoke("10.50.0.7");
    // While the kernel refuses, nobody may say that it is silent.
    agent.kernel.fail_after(1);
    agent.reconciler.bring(None).await.unwrap_err();
    assert_eq!(agent.addresses.to_be_silenced(), ["10.50.0.7"]);
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(traces(&agent, E, "10.50.0.7").await, [""; 0]);
    assert_eq!(traces(&agent, E2, "10.50.0.8").await, others);
    assert_eq!(agent.addresses.to_be_silenced(), [""; 0]);
}

#[tokio::test]
async fn as_long_as_a_container_has_a_revoked_address_it_is_said_aloud() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "10.50.0.7", json!([])).await;
    agent.docker_shows(1, vec![container("web", E, "10.50.0.7")]);
    agent.addresses.revoke("10.50.0.7");
    for _ in 0..2 {
        agent.reconciler.bring(None).await.unwrap();
        let findings = agent.reconciler.report().borrow().findings.clone();
        let said = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said.contains("container web has 10.50.0.7"), "{said}");
    }
    // Restarted, it has another.
    agent.docker_shows(2, Vec::new());
    agent.reconciler.bring(None).await.unwrap();
    let findings = agent.reconciler.report().borrow().findings.clone();
    assert!(
        !findings.iter().any(|finding| matches!(finding, crate::reconciler::Finding::NotAssigned { .. }))
    );
}
