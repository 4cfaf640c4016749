//! Processes end when they should, and never later than the test.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, test_kill_process};

use crate::support::{
    Generation, Hydra, eventually,
    folder::Folder,
    process::{Process, Program},
};

fn bash(folder: &Folder, script: &str) -> Process {
    Program::new("bash", "bash".into()).args(["-c", script]).start(folder)
}

fn is_alive(pid: i32) -> bool {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
}

/// Ignores SIGTERM, and has a child that does too.
const STUBBORN: &str = "trap '' TERM; sleep 1000 & echo child $!; while :; do sleep 1000; done";

#[tokio::test]
async fn exit_status_is_the_commands() {
    let folder = Folder::new("process");
    assert_eq!(bash(&folder, "exit 7").wait().await, 7);
    assert_eq!(bash(&folder, "sleep 1000").terminate().await, 143);
    let mut graceful = bash(&folder, "trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done");
    eventually("it is up", async || graceful.log().contains("up")).await;
    assert_eq!(graceful.terminate().await, 3);
    let mut absent = Program::new("absent", "/nonexistent".into()).start(&folder);
    assert_eq!(absent.wait().await, 127);
    assert!(absent.log_tail().contains("/nonexistent"), "{}", absent.log_tail());
}

#[tokio::test]
async fn frozen_process_goes_on_when_thawed() {
    let folder = Folder::new("process");
    let mut process = bash(&folder, "while :; do date +%N; sleep 0.01; done");
    eventually("it writes", async || !process.log().is_empty()).await;

    process.freeze();
    let state = async |process: &mut Process, letter: &str| {
        let pid = process.pid();
        eventually(&format!("its state is {letter}"), async || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            if letter.contains(stat.split(' ').nth(2).unwrap()) { Ok(()) } else { Err(stat) }
        })
        .await;
    };
    state(&mut process, "T").await;
    assert!(process.is_running());
    process.thaw();
    state(&mut process, "SR").await;

    process.freeze();
    let pid = process.pid();
    drop(process);
    eventually("the frozen process is gone", async || !is_alive(pid)).await;
}

#[tokio::test]
async fn environment_is_not_inherited() {
    let folder = Folder::new("process");
    let program = Program::new("env", "env".into()).env([("NAME", "first"), ("NAME", "last")]);
    let mut process = program.start(&folder);
    assert_eq!(process.wait().await, 0);
    let log = process.log();
    let names: Vec<_> = log.lines().filter_map(|line| line.split('=').next()).collect();
    assert!(log.contains("NAME=last\n"), "{log}");
    let expected = ["HOME", "NAME", "PATH", "PWD", "SHLVL", "_", "OLDPWD"];
    assert!(names.iter().all(|name| expected.contains(name)), "{names:?}");
}

#[tokio::test]
async fn dropped_process_takes_its_children_along() {
    let folder = Folder::new("process");
    let process = bash(&folder, STUBBORN);
    let child = child_of(&process).await;
    let pid = process.pid();
    assert!(is_alive(pid) && is_alive(child));
    drop(process);
    eventually("both are gone", async || !is_alive(pid) && !is_alive(child)).await;
}

async fn child_of(process: &Process) -> i32 {
    eventually("it names its child", async || {
        let log = process.log();
        log.strip_prefix("child ").and_then(|rest| rest.trim_end().parse().ok())
    })
    .await
}

/// Plays both roles: the test process that is killed runs this test alone, with the variable set.
#[tokio::test]
async fn nothing_survives_a_killed_test_process() {
    const VICTIM: &str = "HARNESS_TEST_VICTIM";
    if std::env::var_os(VICTIM).is_some() {
        return be_killed().await;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::nothing_survives_a_killed_test_process", "--nocapture"])
        .env(VICTIM, "1")
        .env_remove("KEEP_LOGS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap()).lines();
    let words = output
        .map(Result::unwrap)
        .find_map(|line| line.split_once("running: ").map(|(_, words)| words.to_owned()));
    let words = words.expect("it said what is running");
    let (root, pids) = words.split_once(' ').unwrap();
    let pids: Vec<i32> = pids.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| is_alive(*pid)) && Path::new(root).is_dir());

    victim.kill().unwrap();
    victim.wait().unwrap();

    eventually("its processes are gone", async || {
        let alive: Vec<_> = pids.iter().filter(|pid| is_alive(**pid)).collect();
        if alive.is_empty() { Ok(()) } else { Err(format!("{alive:?} of {pids:?} live")) }
    })
    .await;
    eventually("its folder is gone", async || !Path::new(root).exists()).await;
}

async fn be_killed() {
    let folder = Folder::new("victim");
    let mut hydra = Hydra::start(Generation::V2).await;
    let mut frozen = Hydra::start(Generation::V2).await;
    frozen.process().freeze();
    let stubborn = bash(&folder, STUBBORN);
    let pids =
        [hydra.process().pid(), frozen.process().pid(), stubborn.pid(), child_of(&stubborn).await];
    let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
    println!("running: {} {}", folder.path().parent().unwrap().display(), pids.join(" "));
    std::future::pending::<()>().await;
}
