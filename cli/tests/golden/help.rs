use crate::fake::{berth, nobody};
use expect_test::expect;

#[test]
fn help_names_every_verb_and_the_exit_codes() {
    expect![[r#"
        Asks the Berth agent of this host, and says whose word the answer is.

        Data goes to stdout, everything else to stderr. Exit code 0 is yes, 1 is no, 2 is "could not tell".

        Usage: berth [OPTIONS] <COMMAND>

        Commands:
          status   How the agent and everything it stands on is doing; exit 1 if something is not well
          pool     What users ask addresses from
          subnet   The cloud's subnets behind the pools
          address  Addresses: who has them, and who could
          network  Docker networks of our driver on this host
          service  Services: named sets of containers, and who takes part in them
          drain    Lets go of a container, or of a host with all its containers, before it ends. Needs root
          name     What DNS answers here to a name, or to an address, and on whose word; exit 1 if nothing
          order    Subnets that were asked of the cloud
          host     The hosts of the cluster
          cluster  The cluster's record in the store that its hosts share
          store    The store as a whole
          check    Do journal, store, kernel, Docker and cloud agree? Exit 1 if not, 2 if one of them is
                   silent
          doctor   Is the ground the agent stands on sound? Exit 1 if not; each trouble with its cure

        Options:
              --socket <PATH>
                  The agent's socket

                  [env: BERTH_SOCKET]
                  [default: /run/berth/berth.sock]

          -o, --output <OUTPUT>
                  Tables for people, or JSON for scripts

                  Possible values:
                  - table: Tables for people
                  - json:  The agent's answer, word for word; stable within a version of the API

                  [default: table]

          -h, --help
                  Print help (see a summary with '-h')

          -V, --version
                  Print version
        --- exit 0
    "#]]
    .assert_eq(&berth(&nobody(), "--help"));
}

#[test]
fn each_group_explains_its_verbs() {
    expect![[r#"
        Addresses: who has them, and who could

        Usage: berth address [OPTIONS] <COMMAND>

        Commands:
          list     The addresses that are in use, cooling, reserved or set aside
          show     One address: what journal, store, kernel, Docker and cloud say of it; or who had it in
                   the past
          history  Who had an address, which ones a container had, what a host had: all that is known,
                   oldest first
          explain  Would a request be granted, and if not, why? Changes nothing; exit 1 if it would be
                   refused
          reserve  Reserves an address under a name that outlives containers. Needs root
          release  Ends a reservation. Needs root. A container that has the address keeps it

        Options:
              --socket <PATH>
                  The agent's socket

                  [env: BERTH_SOCKET]
                  [default: /run/berth/berth.sock]

          -o, --output <OUTPUT>
                  Tables for people, or JSON for scripts

                  Possible values:
                  - table: Tables for people
                  - json:  The agent's answer, word for word; stable within a version of the API

                  [default: table]

          -h, --help
                  Print help (see a summary with '-h')
        --- exit 0
    "#]]
    .assert_eq(&berth(&nobody(), "address --help"));
}

#[test]
fn explain_says_what_its_exit_code_means() {
    expect![[r#"
        Would a request be granted, and if not, why? Changes nothing; exit 1 if it would be refused

        Usage: berth address explain [OPTIONS] [ADDRESS]

        Arguments:
          [ADDRESS]
                  This very address; without it, any

        Options:
              --pool <POOL>
                  The pool to ask

              --socket <PATH>
                  The agent's socket

                  [env: BERTH_SOCKET]
                  [default: /run/berth/berth.sock]

              --ipv6
                  Any IPv6 address instead of any IPv4 address

          -o, --output <OUTPUT>
                  Tables for people, or JSON for scripts

                  Possible values:
                  - table: Tables for people
                  - json:  The agent's answer, word for word; stable within a version of the API

                  [default: table]

          -h, --help
                  Print help (see a summary with '-h')
        --- exit 0
    "#]]
    .assert_eq(&berth(&nobody(), "address explain --help"));
}

#[test]
fn a_mistyped_verb_is_told_the_nearest_one() {
    expect![[r#"
        --- exit 2
        error: unrecognized subcommand 'adress'

          tip: a similar subcommand exists: 'address'

        Usage: berth [OPTIONS] <COMMAND>

        For more information, try '--help'.
    "#]]
    .assert_eq(&berth(&nobody(), "adress list"));
}

#[test]
fn completions_are_generated_for_every_common_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let script = berth(&nobody(), &format!("completions {shell}"));
        assert!(script.contains("berth") && script.contains("explain"), "{shell}: {script}");
        assert!(script.ends_with("--- exit 0\n"), "{shell}: {script}");
    }
}

#[test]
fn a_man_page_is_written_for_each_verb() {
    let directory = tempfile::tempdir().expect("a directory for the pages");
    let path = directory.path().display();
    berth(&nobody(), &format!("man {path}"));
    for page in ["berth.1", "berth-address-explain.1", "berth-host-plan.1", "berth-doctor.1"] {
        assert!(directory.path().join(page).exists(), "there is no {page}");
    }
}
