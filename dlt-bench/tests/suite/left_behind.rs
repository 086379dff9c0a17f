//! What becomes of the processes of a controller that has ended.

use std::time::{Duration, Instant};

/// States of the threads of a process, as the kernel names them.
pub(crate) fn states(pid: i32) -> Vec<char> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let state = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    };
    tasks.filter_map(state).collect()
}

/// The only child of a process with one thread.
pub(crate) fn only_child_of(pid: u32) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let [child] = children.split_whitespace().collect::<Vec<_>>()[..] else { panic!("children: {children}") };
    child.parse().unwrap()
}

/// Gone, or a zombie that waits for whoever adopted it.
pub(crate) fn await_the_end_of(pid: i32) {
    let begin = Instant::now();
    while !states(pid).iter().all(|&state| matches!(state, 'Z' | 'X')) {
        assert!(begin.elapsed() < Duration::from_secs(5), "process {pid} is in states {:?}", states(pid));
        std::thread::sleep(Duration::from_millis(2));
    }
}
