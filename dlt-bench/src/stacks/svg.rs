//! Folded lines and flamegraphs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dlt_probe_ebpf::{Role, StackKind};
use inferno::flamegraph;

use super::gather::{Gathered, Sample, Weight};
use super::names::Names;

/// A picture: which samples, and what is said above them.
#[derive(Debug)]
pub struct Picture<'a> {
    /// File name without ending.
    pub name: String,
    /// Title.
    pub title: String,
    /// What stands below the title.
    pub subtitle: String,
    /// Which samples.
    pub samples: Vec<(&'a Sample, Weight)>,
    /// Samples count by their time in µs, not by their number.
    pub by_time: bool,
    /// What is said if there is none.
    pub if_empty: String,
}

/// Writes `NAME.folded` and `NAME.svg`.
///
/// # Errors
/// A file cannot be written.
pub fn write(folder: &Path, picture: &Picture<'_>, names: &mut Names) -> io::Result<[PathBuf; 2]> {
    let lines = folded(picture, names);
    let (text, image) =
        (folder.join(format!("{}.folded", picture.name)), folder.join(format!("{}.svg", picture.name)));
    std::fs::write(&text, lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>())?;
    let mut out = io::BufWriter::new(std::fs::File::create(&image)?);
    if lines.is_empty() {
        out.write_all(empty(picture).as_bytes())?;
    } else {
        let mut options = flamegraph::Options::default();
        options.title.clone_from(&picture.title);
        options.subtitle = Some(picture.subtitle.clone());
        if picture.by_time { "µs" } else { "samples" }.clone_into(&mut options.count_name);
        flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut out)
            .map_err(io::Error::other)?;
    }
    out.flush()?;
    Ok([text, image])
}

/// One line per sample: `role;outermost;…;innermost weight`.
fn folded(picture: &Picture<'_>, names: &mut Names) -> Vec<String> {
    let mut lines = Vec::new();
    for (sample, weight) in &picture.samples {
        let value = if picture.by_time { weight.ns / 1000 } else { weight.count };
        if value == 0 {
            continue;
        }
        let frames: Vec<_> = names.frames(sample).into_iter().map(|name| name.function).collect();
        lines.push(format!("{};{} {value}", role(sample), frames.join(";")));
    }
    lines.sort();
    lines
}

fn role(sample: &Sample) -> &'static str {
    match (sample.role, sample.in_call) {
        (Some(Role::Producer), true) => "producer (in call)",
        (Some(Role::Producer), false) => "producer",
        (Some(Role::Worker), _) => "worker",
        (Some(Role::Collector), _) => "collector",
        (Some(Role::Canary), _) => "canary",
        (Some(Role::Other) | None, _) => "driver",
    }
}

/// A picture that says that there is nothing, instead of none.
fn empty(picture: &Picture<'_>) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<?xml version=\"1.0\" standalone=\"no\"?>\n\
         <svg version=\"1.1\" width=\"1200\" height=\"120\" viewBox=\"0 0 1200 120\" xmlns=\"http://www.w3.org/2000/svg\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#eeeeee\"/>\n\
         <text x=\"600\" y=\"34\" text-anchor=\"middle\" font-family=\"monospace\" font-size=\"17\">{}</text>\n\
         <text x=\"600\" y=\"74\" text-anchor=\"middle\" font-family=\"monospace\" font-size=\"14\">{}</text>\n</svg>\n",
        escape(&picture.title),
        escape(&picture.if_empty)
    )
}

/// All pictures of a run.
pub fn pictures(gathered: &Gathered, calls: u64) -> Vec<Picture<'_>> {
    let mut pictures = Vec::new();
    for label in gathered.labels() {
        pictures.push(Picture {
            name: format!("oncpu-{}", file_name(&label)),
            title: format!("On CPU: {label}"),
            subtitle: "sampled by the kernel's clock on all processors".into(),
            samples: gathered.select(|s| s.kind == StackKind::OnCpu && s.label == label),
            by_time: false,
            if_empty: "no samples".into(),
        });
    }
    let waits =
        |kinds: &'static [StackKind]| move |s: &Sample| kinds.contains(&s.kind) && !is_control(&s.label);
    pictures.push(Picture {
        name: "offcpu".into(),
        title: "Off CPU: where watched threads blocked or yielded".into(),
        subtitle:
            "time until the thread ran again; a thread that blocks all the time is sampled once a millisecond"
                .into(),
        samples: gathered.select(waits(&[StackKind::Blocked, StackKind::Yielded, StackKind::Futex])),
        by_time: true,
        if_empty: "empty: no watched thread blocked".into(),
    });
    pictures.push(Picture {
        name: "futex".into(),
        title: "Futex: where producers slept inside a log call".into(),
        subtitle: "BlockWithTimeout waits here when its lane is full; the other modes must not appear".into(),
        samples: gathered.select(|s| {
            s.kind == StackKind::Futex && s.role == Some(Role::Producer) && s.in_call && !is_control(&s.label)
        }),
        by_time: true,
        if_empty: format!("empty: no producer slept in a futex call inside any of {calls} log calls"),
    });
    pictures.push(Picture {
        name: "futex-controls".into(),
        title: "Futex: where the producers of the negative controls slept inside a log call".into(),
        subtitle: "loggers with a lock, kept to show that a lock is found".into(),
        samples: gathered.select(|s| s.kind == StackKind::Futex && s.in_call && is_control(&s.label)),
        by_time: true,
        if_empty: "empty: no negative control slept".into(),
    });
    pictures
}

/// Labels of negative controls.
pub fn control_label(logger: &str) -> String {
    format!("control {logger}")
}

fn is_control(label: &str) -> bool {
    label.starts_with("control ")
}

fn file_name(label: &str) -> String {
    label.to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use dlt_probe_ebpf::Stack;

    use super::*;

    #[inline(never)]
    fn a_place_to_wait() -> u64 {
        std::hint::black_box(3)
    }

    fn stack(kind: StackKind, role: Role, in_call: bool, weight_ns: u64) -> Stack {
        let user = vec![a_place_to_wait as *const () as u64];
        Stack { kind, tid: 1, role: Some(role), in_call, weight_ns, user, kernel: Vec::new() }
    }

    fn of(pictures: &[Picture<'_>], name: &str) -> String {
        let picture = pictures.iter().find(|picture| picture.name == name).unwrap();
        folded(picture, &mut Names::new()).join("\n")
    }

    #[test]
    fn waits_are_weighed_in_microseconds_by_role() {
        a_place_to_wait();
        let mut gathered = Gathered::default();
        gathered.add("DropNewest", vec![stack(StackKind::Blocked, Role::Worker, false, 2_500_000); 2]);
        gathered.add("BlockWithTimeout", vec![stack(StackKind::Futex, Role::Producer, true, 7_000)]);
        gathered.add("control mutex", vec![stack(StackKind::Futex, Role::Producer, true, 9_000)]);
        let pictures = pictures(&gathered, 10);
        let waits = of(&pictures, "offcpu");
        assert!(waits.contains("worker;") && waits.contains("a_place_to_wait 5000"), "{waits}");
        let futex = of(&pictures, "futex");
        assert!(futex.starts_with("producer (in call);") && futex.ends_with("a_place_to_wait 7"), "{futex}");
        assert!(of(&pictures, "futex-controls").ends_with(" 9"));
        assert_eq!(of(&pictures, "oncpu-dropnewest"), "");
    }

    /// Pictures of a run without a wait are there and say so.
    #[test]
    fn empty_pictures_say_so() {
        let folder = std::env::temp_dir().join(format!("dlt-bench-svg-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let gathered = Gathered::default();
        for picture in &pictures(&gathered, 4_711) {
            write(&folder, picture, &mut Names::new()).unwrap();
        }
        let futex = std::fs::read_to_string(folder.join("futex.svg")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(
            futex.contains("empty: no producer slept in a futex call inside any of 4711 log calls"),
            "{futex}"
        );
    }
}
