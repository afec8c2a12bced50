//! MPI: ranks that exchange messages, collective operations, and jobs that go wrong, on one node and on several.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};

use crate::harness::{Run, end, guest, placehost};
use crate::lab::{Lab, Node, signal, until};
use crate::sshd::Sshd;

/// `placehost mpirun OPTIONS GUEST START -- ARGS`.
fn arguments(options: &[&str], name: &str, start: &str, args: &[&str]) -> Vec<String> {
    let module = guest(name);
    let module = module.to_str().expect("its path is text");
    [&["mpirun"], options, &[module, start, "--"], args].concat().into_iter().map(str::to_owned).collect()
}

fn mpirun(options: &[&str], name: &str, start: &str, args: &[&str]) -> Run {
    placehost(arguments(options, name, start, args))
}

/// Three nodes, of which the first has most of the ranks.
fn nodes() -> (Lab, [Node; 3], String) {
    let lab = Lab::new();
    let nodes = [(); 3].map(|()| lab.node(&[]));
    let hosts = format!("{}:3,{}:1,{}:2", nodes[0].address, nodes[1].address, nodes[2].address);
    (lab, nodes, hosts)
}

fn far(lab: &Lab, options: &[&str], name: &str, start: &str, args: &[&str]) -> Run {
    let all = arguments(options, name, start, args);
    lab.placehost(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

claims! {
    "mpi_collectives":
    mpi_collectives_agree_with_naive_ones,
    mpi_collectives_agree_with_naive_ones_on_long_data,
}

/// A test for each: so many ranks of this start function end well.
macro_rules! ranks {
    ($($claim:ident: $ranks:literal of $start:literal;)+) => {$(
        #[test]
        fn $claim() {
            mpirun(&["-n", $ranks], "mpi_ranks", $start, &[]).prints("");
        }
    )+};
}

ranks! {
    messages_of_one_rank_do_not_overtake: "4" of "order";
    wildcards_take_what_comes_and_probes_leave_it: "5" of "wildcards";
    requests_are_served_in_their_order: "4" of "requests";
    a_rank_sends_to_itself: "2" of "to-itself";
    ranks_that_all_send_first_do_not_wait_for_ever: "3" of "crowded";
    values_of_any_type_are_sent: "2" of "values";
    errors_name_the_rank_and_the_operation: "2" of "errors";
    groups_have_orders_of_their_own: "6" of "groups";
    a_slow_rank_is_waited_for: "3" of "slow";
}

#[test]
fn collectives_agree_with_naive_ones_over_nodes() {
    let (lab, nodes, _) = nodes();
    let module = guest("mpi_collectives");
    let module = module.to_str().expect("its path is text");
    let [a, b, c] = [0, 1, 2].map(|index| nodes[index].address.as_str());
    lab.placehost(&["run", module, "far", "--allow-nodes", "--", a, b, c]).prints("");
    nodes.iter().for_each(|node| lab.has_places(node, 0));
}

#[test]
fn what_nodes_have_for_each_other_crosses_between_two_of_them_once() {
    let (lab, nodes, _) = nodes();
    for each in [&["3", "1", "2"][..], &["4", "4"], &["1", "2", "2"]] {
        let hosts = nodes.iter().zip(each).map(|(node, ranks)| format!("{}:{ranks}", node.address)).collect::<Vec<_>>().join(",");
        far(&lab, &["--hosts", &hosts], "mpi_crossings", "crossings", each).prints("");
    }
}

#[test]
fn ranks_exchange_messages_over_nodes() {
    let (lab, nodes, hosts) = nodes();
    for (start, ranks) in [("order", "4"), ("wildcards", "5"), ("requests", "4"), ("groups", "6")] {
        far(&lab, &["--hosts", &hosts, "-n", ranks], "mpi_ranks", start, &[]).prints("");
    }
    far(&lab, &["--hosts", &format!("{}:1,{}:1,.:1", nodes[0].address, nodes[1].address)], "mpi_ranks", "crowded", &[]).prints("");
}

#[test]
fn ranks_that_disagree_are_told_who_did_what() {
    for (what, called) in [
        ("operation", "rank 1 calls allreduce of 1 × f64, sum as its collective operation 1"),
        ("count", "rank 1 calls broadcast of 4 × u32, root 0 as its collective operation 1"),
        ("type", "rank 1 calls broadcast of 3 × u8, root 0 as its collective operation 1"),
    ] {
        mpirun(&["-n", "3"], "mpi_ranks", "disagree", &[what]).fails(1, &["error: rank ", "ranks disagree: rank ", called]);
    }
    // Nobody hears from a rank that waits for another root: they wait for each other.
    let waits = ["all ranks wait for each other", "rank 1: broadcast, collective operation 1 of its communicator, waits for rank 2"];
    mpirun(&["-n", "3"], "mpi_ranks", "disagree", &["root"]).fails(1, &waits);
}

#[test]
fn a_deadlock_ends_and_says_who_waits_for_whom() {
    let waits = [
        "all ranks wait for each other, and no message is under way",
        "rank 0: recv waits for a message of rank 3 with tag 3",
        "rank 1: barrier, collective operation 0 of its communicator, waits for rank 0",
        "rank 2: recv waits for a message of rank 1 with tag 3",
        "rank 3: recv waits for a message of rank 2 with tag 3",
    ];
    mpirun(&["-n", "4"], "mpi_ranks", "deadlock", &[]).fails(1, &waits);
    mpirun(&["-n", "2"], "mpi_ranks", "left", &[]).fails(1, &["rank 1: recv waits for a message of rank 0 with tag 0"]);
    let (lab, _nodes, hosts) = nodes();
    far(&lab, &["--hosts", &hosts, "-n", "4"], "mpi_ranks", "deadlock", &[]).fails(1, &waits);
}

#[test]
fn a_node_can_be_asked_who_waits_for_whom() {
    let (lab, nodes, hosts) = nodes();
    let job = far(&lab, &["--hosts", &hosts, "-n", "3"], "mpi_ranks", "slow", &[]).start_interactive();
    let listed = || lab.placehost(&["ps", "--at", &nodes[0].address, "--json"]).fails(0, &[]).stdout;
    let says = |label: &str| listed().contains(&format!("\"label\":\"{label}"));
    until(|| says("rank 0: allreduce, collective operation 0 of its communicator, waits for rank "));
    assert!(says("rank 1\""), "{}", listed());
    assert_eq!(end(job).code, Some(0));
}

#[test]
fn the_first_rank_that_goes_wrong_ends_the_job_with_its_code() {
    for (how, code, what) in [("panic", 134, "on purpose"), ("exit", 7, "exited with code 7"), ("error", 1, "failed: it did not work")] {
        mpirun(&["-n", "3"], "mpi_ranks", "wrong", &[how]).fails(code, &["rank 1 of `wrong`", what]);
    }
    let (lab, nodes, _) = nodes();
    let hosts = format!("{}:1,{}:2", nodes[0].address, nodes[1].address);
    far(&lab, &["--hosts", &hosts], "mpi_ranks", "wrong", &["exit"]).fails(7, &["rank 1 of `wrong`", "exited with code 7"]);
    nodes.iter().for_each(|node| lab.has_places(node, 0));
}

#[test]
fn the_others_go_on_where_they_may() {
    let ended = mpirun(&["-n", "4", "--on-failure", "continue"], "mpi_ranks", "survivors", &[]).fails(3, &["rank 1 of `survivors`"]);
    let mut lines: Vec<_> = ended.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["rank 0 goes on", "rank 2 goes on", "rank 3 goes on"]);
}

#[test]
fn a_node_that_dies_ends_the_job() {
    let (lab, nodes, _) = nodes();
    let hosts = format!("{}:2,{}:2", nodes[0].address, nodes[1].address);
    let mut child = far(&lab, &["--hosts", &hosts, "--timeout", "2s"], "mpi_ranks", "forever", &[]).start();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    (0..4).for_each(|_| assert!(stdout.read_line(&mut line).expect("it can be read") > 0));
    nodes[1].signal("-KILL");
    let ended = end(child);
    assert_eq!(ended.code, Some(69), "{}", ended.stderr);
    assert!(ended.stderr.contains("was lost with its node"), "{}", ended.stderr);
    lab.has_places(&nodes[0], 0);
}

#[test]
fn an_interrupt_ends_all_ranks() {
    let (lab, nodes, _) = nodes();
    let hosts = format!("{}:2,.:2", nodes[0].address);
    let mut child = far(&lab, &["--hosts", &hosts], "mpi_ranks", "forever", &[]).start();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    (0..4).for_each(|_| assert!(stdout.read_line(&mut line).expect("it can be read") > 0));
    signal(&child, "-INT");
    assert_eq!(end(child).code, Some(130));
    lab.has_places(&nodes[0], 0);
}

#[test]
fn output_is_tagged_line_by_line() {
    let (lab, _nodes, hosts) = nodes();
    for run in [
        mpirun(&["-n", "3", "--tag-output"], "mpi_ranks", "talkative", &[]),
        far(&lab, &["--hosts", &hosts, "-n", "3", "--tag-output"], "mpi_ranks", "talkative", &[]),
    ] {
        let ended = run.fails(0, &[]);
        let mut lines: Vec<_> = ended.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["[0] one", "[0] two", "[1] one", "[1] two", "[2] one", "[2] two"]);
    }
}

#[test]
fn what_cannot_be_started_is_said() {
    mpirun(&[], "hello_world", "main", &[]).fails(125, &["is no MPI program"]);
    mpirun(&[], "mpi_ranks", "ordr", &[]).fails(125, &["no start function `ordr`", "did you mean `order`?"]);
    mpirun(&["--hosts", "a:1,b:2", "-n", "4"], "mpi_ranks", "order", &[]).fails(2, &["4 ranks are asked for, and the hosts take 3"]);
    let lab = Lab::new();
    far(&lab, &["--hosts", "127.0.0.1:1:2"], "mpi_ranks", "order", &[]).fails(125, &["the ranks on `127.0.0.1:1` cannot be started"]);
}

#[test]
fn host_files_say_where_ranks_run() {
    let (lab, nodes, _) = nodes();
    let file = lab.path().join("hosts");
    std::fs::write(&file, format!("# two nodes\n{} slots=2\n{} slots=4\n", nodes[0].address, nodes[1].address)).expect("there is room");
    let file = file.to_str().expect("its path is text");
    let ended = far(&lab, &["--hostfile", file, "-n", "3"], "prod_id", "prod_id", &[]).fails(0, &[]);
    let mut lines: Vec<_> = ended.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["rank 0 of 3: 6", "rank 1 of 3: 6", "rank 2 of 3: 6"]);
}

#[test]
fn prod_id_multiplies_as_on_the_slides() {
    let (lab, nodes, _) = nodes();
    let module = guest("prod_id");
    let module = module.to_str().expect("its path is text");
    let [a, b, c] = [0, 1, 2].map(|index| nodes[index].address.as_str());
    for run in [placehost(["run", module]), lab.placehost(&["run", module, "main", "--allow-nodes", "--", "8", a, b, c])] {
        let ended = run.fails(0, &[]);
        let mut lines: Vec<_> = ended.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, (0..8).map(|rank| format!("rank {rank} of 8: 40320")).collect::<Vec<_>>());
    }
}

#[test]
fn a_message_goes_around_the_ring() {
    let rounds = |ranks: u32| (1..=2).map(|round| format!("round {round}: {ranks} ranks passed it on\n")).collect::<String>();
    for ranks in [1, 2, 9] {
        mpirun(&["-n", &ranks.to_string()], "mpi_ring", "ring", &["2"]).prints(&rounds(ranks));
    }
}

#[test]
fn ssh_launches_nodes_for_a_job() {
    let Some(sshd) = Sshd::new() else { return };
    let lab = Lab::without_cluster();
    let job = |hosts, ssh| far(&lab, &["--hosts", hosts], "mpi_ring", "ring", &["1"]).env("PLACEHOST_SSH", ssh);
    job(".:1,ssh://host2:2,ssh://host2", &*sshd.ssh).prints("round 1: 4 ranks passed it on\n");
    sshd.nothing_is_left();
    job(".:1,ssh://host2", "/nowhere/ssh").fails(125, &["error: cannot run `/nowhere/ssh` to reach `host2`"]);
    sshd.nothing_is_left();
}

/// The kernels verify themselves against what their specification says.
#[track_caller]
fn verified(name: &str, start: &str, ranks: &[&str], expected: &str) {
    for ranks in ranks {
        mpirun(&["-n", ranks], name, start, &["S"]).fails(0, &[]).stdout_is(expected);
    }
}

#[test]
fn kernels_are_verified_beyond_the_smallest_class() {
    for kernel in ["ep", "is", "cg", "mg", "ft"] {
        let options = ["-n", "2", "--memory", "512MiB", "--preempt", "off"];
        let ended = mpirun(&options, &format!("npb_{kernel}"), kernel, &["W"]).fails(0, &[]);
        assert!(ended.stdout.ends_with(", verified\n"), "{}", ended.stdout);
    }
}

#[test]
fn ep_is_verified() {
    verified("npb_ep", "ep", &["2"], "ep: -3.247834652e3 and -6.958407078e3 of 13176389 pairs, verified\n");
}

#[test]
fn is_is_verified_and_checks_as_the_native_one() {
    verified("npb_is", "is", &["1", "2", "5"], "is: check 359950022 of 65536 keys, verified\n");
}

#[test]
fn cg_is_verified() {
    verified("npb_cg", "cg", &["1", "3", "4"], "cg: zeta 8.5971775079, verified\n");
}

#[test]
fn mg_is_verified() {
    verified("npb_mg", "mg", &["1", "4", "16"], "mg: norm 5.307707006e-5, verified\n");
}

#[test]
fn ft_is_verified() {
    verified("npb_ft", "ft", &["1", "4"], "ft: checksum 5.542683412e2 and 4.932597245e2, verified\n");
}

#[test]
fn kmeans_checks_as_the_native_one() {
    for ranks in ["1", "3"] {
        let expected = "kmeans: 65536 points in 16 clusters, check 1016.024259543\n";
        mpirun(&["-n", ranks], "kmeans", "kmeans", &[]).fails(0, &[]).stdout_is(expected);
    }
}

#[test]
fn jacobi_is_the_same_over_any_number_of_ranks() {
    let alone = mpirun(&["-n", "1"], "jacobi", "jacobi", &["24"]).fails(0, &[]);
    assert!(alone.stdout.starts_with("after "), "{}", alone.stdout);
    for ranks in ["2", "5", "24"] {
        mpirun(&["-n", ranks], "jacobi", "jacobi", &["24"]).prints(&alone.stdout);
    }
}

#[test]
fn threads_stay_on_processors_where_they_are_bound() {
    let child = mpirun(&["-n", "2", "--bind"], "mpi_ranks", "slow", &[]).start_interactive();
    let tasks = format!("/proc/{}/task", child.id());
    let processors = || -> BTreeSet<String> {
        let tasks = fs::read_dir(&tasks).expect("it runs").flatten();
        let workers = tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("tokio")));
        let status = workers.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
        status.filter_map(|text| Some(text.lines().find(|line| line.starts_with("Cpus_allowed_list"))?.to_owned())).collect()
    };
    let all = std::thread::available_parallelism().expect("the system says").get();
    until(|| processors().len() == all && !processors().iter().any(|list| list.contains(['-', ','])));
    assert_eq!(end(child).code, Some(0));
}

#[test]
fn mpi_bench_measures() {
    let ended = mpirun(&["-n", "2"], "mpi_bench", "collectives", &["barrier"]).fails(0, &[]);
    assert!(ended.stdout.starts_with("placehost.mpi.barrier.np2 "), "{}", ended.stdout);
}
