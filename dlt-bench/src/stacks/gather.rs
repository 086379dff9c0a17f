//! Equal stacks added up, per label (a row's overflow mode).

use std::collections::HashMap;

use dlt_probe_ebpf::{Role, Stack, StackKind};

/// What makes two samples equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sample {
    /// What was running: the overflow mode, or a control's name.
    pub label: String,
    /// What it is about.
    pub kind: StackKind,
    /// The thread's role; `None` if it is not watched.
    pub role: Option<Role>,
    /// Inside a log call.
    pub in_call: bool,
    /// Return addresses, innermost first.
    pub user: Vec<u64>,
    /// The same of the kernel.
    pub kernel: Vec<u64>,
}

/// How often, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// Samples.
    pub count: u64,
    /// Their time, in ns.
    pub ns: u64,
}

/// All samples of a run.
#[derive(Debug, Default)]
pub struct Gathered {
    samples: HashMap<Sample, Weight>,
}

impl Gathered {
    /// Adds what has come in while `label` ran.
    pub fn add(&mut self, label: &str, stacks: Vec<Stack>) {
        for stack in stacks {
            let Stack { kind, tid: _, role, in_call, weight_ns, user, kernel } = stack;
            let sample = Sample { label: label.to_owned(), kind, role, in_call, user, kernel };
            let weight = self.samples.entry(sample).or_default();
            weight.count += 1;
            weight.ns += weight_ns;
        }
    }

    /// The samples that `wanted` lets pass, the heaviest first.
    pub fn select(&self, wanted: impl Fn(&Sample) -> bool) -> Vec<(&Sample, Weight)> {
        let mut found: Vec<_> = self
            .samples
            .iter()
            .filter(|(sample, _)| wanted(sample))
            .map(|(sample, weight)| (sample, *weight))
            .collect();
        found.sort_by(|a, b| b.1.ns.cmp(&a.1.ns).then_with(|| a.0.user.cmp(&b.0.user)));
        found
    }

    /// Labels in the order of their names.
    pub fn labels(&self) -> std::collections::BTreeSet<String> {
        self.samples.keys().map(|sample| sample.label.clone()).collect()
    }
}
