//! Crashes, stalls and restarts on either side of the socket.

use super::*;

#[tokio::test]
async fn a_release_is_taken_while_the_allocator_cannot_and_paid_when_it_can() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "", json!([])).await;
    agent.addresses.set_away(true);
    agent.stop(E, "10.50.0.2").await;
    assert_eq!(agent.addresses.used(), ["10.50.0.2"]);
    assert!(agent.addresses_answered_for().await.is_empty(), "detached at once all the same");

    // Also by the next agent.
    let agent = agent.restart().await;
    agent.addresses.set_away(false);
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses.used(), [""; 0]);
    assert!(agent.book.pages().endpoints.is_empty());
}

#[tokio::test]
async fn an_agent_that_cannot_start_keeps_releases_and_refuses_the_rest() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "", json!([])).await;
    let Agent { addresses, kernel, stop, served, dir, book, reconciler, .. } = agent;
    stop.cancel();
    served.await.unwrap().unwrap();
    drop((book, reconciler));
    let file = dir.path().join("docker.journal");
    until(|| Book::open(&file).is_ok()).await;
    std::fs::remove_file(dir.path().join("berth.sock")).unwrap();

    let book = Book::open(&file).unwrap();
    let reason = "line 3: no pool has a limit".to_owned();
    let docker = watch::channel(Watched::default()).1;
    let driver = Driver::new(OutOfOrder { reason }, book.clone(), Reconciler::absent(), docker, Vec::new);
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(listen(&dir), driver, stop.clone()));
    let socket = dir.path().join("berth.sock");
    let refused = json!({"PoolID": POOL, "Address": "", "Options": null}).to_string();
    let (_, answer) = send(&socket, "/IpamDriver.RequestAddress", refused.as_bytes()).await;
    assert!(answer["Error"].as_str().unwrap().contains("line 3: no pool has a limit"), "{answer}");
    for call in ["Leave", "DeleteEndpoint"] {
        let body = json!({"NetworkID": N, "EndpointID": E}).to_string();
        assert_eq!(send(&socket, &format!("/NetworkDriver.{call}"), body.as_bytes()).await.1, json!({}));
    }
    let release = json!({"PoolID": POOL, "Address": "10.50.0.2"}).to_string();
    assert_eq!(send(&socket, "/IpamDriver.ReleaseAddress", release.as_bytes()).await.1, json!({}));
    stop.cancel();
    served.await.unwrap().unwrap();
    assert_eq!(addresses.used(), ["10.50.0.2"]);
    drop(book);
    std::fs::remove_file(&socket).unwrap();

    let agent = Agent::over(addresses, kernel, dir, CALL_DEADLINE).await;
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses.used(), [""; 0]);
    assert!(agent.addresses_answered_for().await.is_empty());
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_answered_before_docker_would_wonder() {
    let addresses = FakeAddresses::with(&["10.50.0.0/26"]);
    let deadline = Duration::from_millis(100);
    let agent = Agent::over(addresses, kernel(), tempfile::tempdir().unwrap(), deadline).await;
    agent.addresses.set_slow(Duration::from_millis(300));
    let asked = json!({"PoolID": POOL, "Address": "", "Options": null});
    let answer = agent.call("/IpamDriver.RequestAddress", asked).await;
    assert!(answer["Error"].as_str().unwrap().contains("did not finish"), "{answer}");
}

#[tokio::test]
async fn calls_in_flight_are_answered_when_the_agent_is_told_to_stop() {
    let agent = Agent::start().await;
    agent.addresses.set_slow(Duration::from_millis(300));
    let socket = agent.socket();
    let asked = json!({"PoolID": POOL, "Address": "", "Options": null}).to_string();
    let call =
        tokio::spawn(async move { send(&socket, "/IpamDriver.RequestAddress", asked.as_bytes()).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    agent.stop.cancel();
    agent.served.await.unwrap().unwrap();
    assert_eq!(call.await.unwrap().1["Address"], "10.50.0.2/26");
}

#[tokio::test]
async fn a_call_whose_caller_was_killed_is_finished() {
    let agent = Agent::start().await;
    agent.addresses.set_slow(Duration::from_millis(100));
    let body = json!({"PoolID": POOL, "Address": "10.50.0.7", "Options": null}).to_string();
    let mut stream = UnixStream::connect(agent.socket()).await.unwrap();
    let head = format!(
        "POST /IpamDriver.RequestAddress HTTP/1.1\r\nHost: \r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(stream);
    let addresses = agent.addresses.clone();
    until(|| addresses.usage("10.50.0.7") == Some(Usage::Unbound)).await;
}

#[tokio::test]
async fn a_join_that_the_kernel_refuses_leaves_nothing_attached() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.reconciler.bring(None).await.unwrap();
    let request = json!({"PoolID": POOL, "Address": "", "Options": null});
    let address = agent.call("/IpamDriver.RequestAddress", request).await["Address"].clone();
    agent.call("/NetworkDriver.CreateEndpoint", endpoint_call(E, address, "", &json!([]))).await;
    agent.kernel.fail_after(1);
    let answer = agent.call("/NetworkDriver.Join", json!({"NetworkID": N, "EndpointID": E})).await;
    assert!(answer["Err"].as_str().unwrap().contains("`berth host plan`"), "{answer}");
    // What Docker does after a refused Join.
    agent.call("/NetworkDriver.DeleteEndpoint", json!({"NetworkID": N, "EndpointID": E})).await;
    agent.call("/IpamDriver.ReleaseAddress", json!({"PoolID": POOL, "Address": "10.50.0.2"})).await;
    agent.reconciler.bring(None).await.unwrap();
    let observed = agent.observed().await;
    assert!(observed.ports.is_empty() && observed.proxies.is_empty(), "{observed:?}");
    assert_eq!(agent.addresses.used(), [""; 0]);
}

#[tokio::test]
async fn an_endpoint_that_dockerd_forgot_is_released_by_two_witnesses_and_not_by_one() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "", json!([])).await;
    // Docker has forgotten it; the kernel still has its port in a container.
    for at in [100, 200] {
        agent.docker_shows(at, Vec::new());
        agent.reconciler.bring(None).await.unwrap();
    }
    assert_eq!(agent.addresses.used(), ["10.50.0.2"]);
    // The container's namespace is gone, and its veth pair with it.
    agent.kernel.meanwhile(|seen| seen.ports.clear());
    agent.docker_shows(300, Vec::new());
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses.used(), ["10.50.0.2"]);
    agent.docker_shows(400, Vec::new());
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses.used(), [""; 0]);
    agent.reconciler.bring(None).await.unwrap();
    assert!(agent.observed().await.ports.is_empty());
}

#[tokio::test]
async fn what_docker_lists_is_never_released_for_it() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "", json!([])).await;
    agent.kernel.meanwhile(|seen| seen.ports.clear());
    for at in [100, 200, 300] {
        agent.docker_shows(at, vec![container("web", E, "10.50.0.2")]);
        agent.reconciler.bring(None).await.unwrap();
    }
    assert_eq!(agent.addresses.used(), ["10.50.0.2"]);
}

#[tokio::test]
async fn an_address_nobody_came_for_is_closed_after_a_while() {
    let agent = Agent::start().await;
    agent.call("/IpamDriver.RequestAddress", json!({"PoolID": POOL, "Address": "", "Options": null})).await;
    for at in [100, 159] {
        agent.docker_shows(at, Vec::new());
        agent.reconciler.bring(None).await.unwrap();
    }
    assert_eq!(agent.addresses.used(), ["10.50.0.2"]);
    agent.docker_shows(160, Vec::new());
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses.used(), [""; 0]);
}

#[tokio::test]
async fn a_lost_book_takes_nothing_away_from_running_containers() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "", json!([])).await;
    let Agent { addresses, kernel, stop, served, .. } = agent;
    stop.cancel();
    served.await.unwrap().unwrap();
    let before = kernel.made().len();
    let agent = Agent::over(addresses, kernel, tempfile::tempdir().unwrap(), CALL_DEADLINE).await;
    let error = agent.reconciler.bring(None).await.unwrap_err();
    assert!(error.to_string().contains("`berthd --rebuild`"), "{error}");
    assert_eq!(agent.kernel.made().len(), before);
}

#[tokio::test]
async fn a_released_endpoint_stays_in_its_stage_when_docker_repeats_itself() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "", json!([])).await;
    agent.addresses.set_away(true);
    agent.stop(E, "10.50.0.2").await;
    agent.call("/NetworkDriver.Leave", json!({"NetworkID": N, "EndpointID": E})).await;
    let stages: Vec<Stage> = agent.book.pages().endpoints.values().map(|it| it.stage).collect();
    assert_eq!(stages, [Stage::Released]);
}

#[tokio::test]
async fn an_agent_that_has_not_read_the_store_yet_leaves_running_containers_as_they_are() {
    let agent = Agent::start().await;
    agent.create_network().await;
    agent.run(E, "", json!([])).await;
    let before = agent.kernel.made().len();
    agent.addresses.set_blind(true);
    let agent = agent.restart().await;
    agent.docker_shows(100, Vec::new());
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.kernel.made().len(), before);
    assert_eq!(agent.addresses.used(), ["10.50.0.2"]);

    // After a reboot the kernel has nothing, and nothing is brought up on a guess.
    agent.kernel.meanwhile(|seen| {
        let interfaces = std::mem::take(&mut seen.interfaces);
        *seen = Observed { interfaces, ..Observed::default() };
    });
    agent.reconciler.bring(None).await.unwrap();
    assert!(agent.addresses_answered_for().await.is_empty());
    agent.addresses.set_blind(false);
    agent.reconciler.bring(None).await.unwrap();
    assert_eq!(agent.addresses_answered_for().await, ["10.50.0.2"]);
}
