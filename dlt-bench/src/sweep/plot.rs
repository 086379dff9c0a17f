//! A picture of a sweep: where a thread was stopped in its log call, against how long the others then stood still.
//!
//! Plain SVG text. One panel for each subject, the same scales in all of them: the stop's number along the call, and the
//! time logarithmically from 0.1 ms to the watchdog. What never ended is in a band of its own above the watchdog.

use std::fmt::Write as _;

/// What a stop did to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// They went on, after a stall that may be short.
    WentOn,
    /// Calls of other threads did not return while the thread was stopped.
    CallsStuck,
    /// Messages of other threads were not delivered while the thread was stopped.
    DeliveryStuck,
    /// The thread was not where it should have been: nothing can be said.
    NotControlled,
}

/// The stops of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    /// Its name.
    pub title: String,
    /// Number of the stop, how long the others stood still in ns, and what became of them. Stops of several states of the
    /// ring may have the same number.
    pub stops: Vec<(usize, u64, Outcome)>,
}

const WIDTH: f64 = 1200.0;
const PANEL_HEIGHT: f64 = 300.0;
const HEAD: f64 = 92.0;
const MARGIN: f64 = 24.0;
/// Room for the labels of the axes.
const LEFT: f64 = 84.0;
const BOTTOM: f64 = 52.0;
const TOP: f64 = 44.0;
/// Height of the band for what never ended.
const BAND: f64 = 38.0;
/// The shortest stall that is told apart.
const SHORTEST_NS: f64 = 1e5;

const FINE: &str = "#2166ac";
const STUCK: &str = "#c4161c";
const UNCLEAR: &str = "#777777";
const INK: &str = "#222222";
const GRID: &str = "#dddddd";

/// Where a panel's plot lies, and its scales.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    last_stop: usize,
    watchdog_ns: f64,
}

impl Frame {
    fn x(&self, stop: usize) -> f64 {
        self.left + (self.right - self.left) * stop as f64 / self.last_stop.max(1) as f64
    }

    /// Shorter stalls lie on the axis, longer ones on the watchdog's line.
    fn y(&self, ns: f64) -> f64 {
        let (ns, decades) =
            (ns.clamp(SHORTEST_NS, self.watchdog_ns), (self.watchdog_ns / SHORTEST_NS).log10());
        self.bottom - (self.bottom - self.top) * (ns / SHORTEST_NS).log10() / decades
    }
}

/// Draws it. `watchdog_ns`: after this time a stall counts as one that never ends.
pub fn svg(title: &str, watchdog_ns: u64, panels: &[Panel]) -> String {
    let columns = panels.len().clamp(1, 2);
    let rows = panels.len().div_ceil(columns);
    let height = HEAD + rows as f64 * PANEL_HEIGHT + MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"{INK}\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let _ = writeln!(text, "<text x=\"{MARGIN}\" y=\"34\" font-size=\"20\">{}</text>", escaped(title));
    legend(&mut text);
    let last_stop =
        panels.iter().flat_map(|panel| &panel.stops).map(|&(stop, ..)| stop).max().unwrap_or_default();
    let width = (WIDTH - MARGIN * (columns + 1) as f64) / columns as f64;
    for (index, panel) in panels.iter().enumerate() {
        let left = MARGIN + (index % columns) as f64 * (width + MARGIN);
        let top = HEAD + (index / columns) as f64 * PANEL_HEIGHT;
        let frame = Frame {
            left: left + LEFT,
            right: left + width - 12.0,
            top: top + TOP + BAND,
            bottom: top + PANEL_HEIGHT - BOTTOM,
            last_stop,
            // A decade at least, or there is nothing to scale.
            watchdog_ns: (watchdog_ns as f64).max(10.0 * SHORTEST_NS),
        };
        axes(&mut text, &frame, panel);
        points(&mut text, &frame, panel);
    }
    text.push_str("</svg>\n");
    text
}

fn legend(text: &mut String) {
    let entries = [
        (Outcome::WentOn, "the others went on after this time"),
        (Outcome::CallsStuck, "their calls never returned"),
        (Outcome::DeliveryStuck, "their calls returned, delivery stood still"),
        (Outcome::NotControlled, "stop not under control"),
    ];
    let mut x = MARGIN + 6.0;
    for (outcome, label) in entries {
        mark(text, x, 60.0, outcome);
        let _ = writeln!(text, "<text x=\"{}\" y=\"64.5\">{label}</text>", x + 12.0);
        // About 6.6 units a letter at this size.
        x += 12.0 + 6.6 * label.len() as f64 + 26.0;
    }
}

fn axes(text: &mut String, frame: &Frame, panel: &Panel) {
    let Frame { left, right, top, bottom, .. } = *frame;
    let middle = f64::midpoint(left, right);
    let (never, longest) = (count(panel, is_stuck), longest(panel));
    let unclear = match count(panel, |outcome| outcome == Outcome::NotControlled) {
        0 => String::new(),
        n => format!(", {n} not under control"),
    };
    let _ = writeln!(
        text,
        "<text x=\"{left}\" y=\"{}\" font-size=\"15\" font-weight=\"bold\">{}</text>",
        top - BAND - 24.0,
        escaped(&panel.title)
    );
    let _ = writeln!(
        text,
        "<text x=\"{left}\" y=\"{}\" fill=\"{}\">{} stops, {never} never ended{unclear}; longest {longest}</text>",
        top - BAND - 7.0,
        if never > 0 { STUCK } else { INK },
        panel.stops.len(),
    );
    // The band of what never ended.
    let _ = writeln!(
        text,
        "<rect x=\"{left}\" y=\"{}\" width=\"{}\" height=\"{BAND}\" fill=\"#fbe9e7\"/>",
        top - BAND,
        right - left
    );
    tick_y(text, frame, top - BAND / 2.0, "never");
    let mut ns = SHORTEST_NS;
    while ns < frame.watchdog_ns * 0.4 {
        grid_y(text, frame, ns);
        ns *= 10.0;
    }
    grid_y(text, frame, frame.watchdog_ns);
    let step = tick_step(frame.last_stop);
    for stop in (0..=frame.last_stop).step_by(step) {
        let x = frame.x(stop);
        let _ = writeln!(
            text,
            "<path d=\"M{x:.1} {bottom}v5\" stroke=\"{INK}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{stop}</text>",
            bottom + 19.0
        );
    }
    let _ = writeln!(
        text,
        "<path d=\"M{left} {}V{bottom}H{right}\" fill=\"none\" stroke=\"{INK}\"/>",
        top - BAND
    );
    let _ = writeln!(
        text,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">stopped before instruction number</text>",
        bottom + 38.0
    );
    let (x, y) = (left - 70.0, f64::midpoint(top - BAND, bottom));
    let _ = writeln!(
        text,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\">others stood still for</text>"
    );
}

fn grid_y(text: &mut String, frame: &Frame, ns: f64) {
    let y = frame.y(ns);
    let _ = writeln!(text, "<path d=\"M{} {y:.1}H{}\" stroke=\"{GRID}\"/>", frame.left, frame.right);
    tick_y(text, frame, y, &time(ns));
}

fn tick_y(text: &mut String, frame: &Frame, y: f64, label: &str) {
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
        frame.left - 7.0,
        y + 4.5
    );
}

fn points(text: &mut String, frame: &Frame, panel: &Panel) {
    // What matters most is drawn last, on top of the rest.
    let order = [Outcome::WentOn, Outcome::NotControlled, Outcome::DeliveryStuck, Outcome::CallsStuck];
    for outcome in order {
        for &(stop, stall_ns, _) in panel.stops.iter().filter(|(_, _, of)| *of == outcome) {
            let y = match outcome {
                Outcome::WentOn => frame.y(stall_ns as f64),
                Outcome::CallsStuck => frame.top - BAND * 0.68,
                Outcome::DeliveryStuck => frame.top - BAND * 0.28,
                Outcome::NotControlled => frame.bottom,
            };
            mark(text, frame.x(stop), y, outcome);
        }
    }
}

fn mark(text: &mut String, x: f64, y: f64, outcome: Outcome) {
    let _ = match outcome {
        Outcome::WentOn => writeln!(
            text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{FINE}\" fill-opacity=\"0.55\"/>"
        ),
        Outcome::CallsStuck => {
            writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{STUCK}\"/>")
        }
        Outcome::DeliveryStuck => writeln!(
            text,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\" fill=\"white\" stroke=\"{STUCK}\" stroke-width=\"1.6\"/>"
        ),
        Outcome::NotControlled => writeln!(
            text,
            "<path d=\"M{:.1} {:.1}l7 7m0 -7l-7 7\" stroke=\"{UNCLEAR}\" stroke-width=\"1.6\"/>",
            x - 3.5,
            y - 3.5
        ),
    };
}

fn is_stuck(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::CallsStuck | Outcome::DeliveryStuck)
}

fn count(panel: &Panel, is_counted: impl Fn(Outcome) -> bool) -> usize {
    panel.stops.iter().filter(|(_, _, outcome)| is_counted(*outcome)).count()
}

fn longest(panel: &Panel) -> String {
    let ended = panel.stops.iter().filter(|(_, _, outcome)| *outcome == Outcome::WentOn);
    ended.map(|&(_, ns, _)| ns).max().map_or_else(|| "–".to_owned(), |ns| time(ns as f64))
}

/// 1, 2 or 5 times a power of ten, for at most ten ticks.
fn tick_step(last: usize) -> usize {
    let mut power = 1;
    loop {
        for step in [power, 2 * power, 5 * power] {
            if last / step < 10 {
                return step;
            }
        }
        power *= 10;
    }
}

/// In the unit that fits, without zeros behind the point.
fn time(ns: f64) -> String {
    let (value, unit) = if ns < 1e6 && ns > SHORTEST_NS {
        (ns / 1e3, "µs")
    } else if ns < 1e9 {
        (ns / 1e6, "ms")
    } else {
        (ns / 1e9, "s")
    };
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame { left: 100.0, right: 500.0, top: 50.0, bottom: 250.0, last_stop: 40, watchdog_ns: 1e9 }
    }

    #[test]
    fn scales_reach_from_edge_to_edge() {
        let frame = frame();
        for (stop, x) in [(0, 100.0), (20, 300.0), (40, 500.0)] {
            assert!((frame.x(stop) - x).abs() < 1e-6, "{stop}: {}", frame.x(stop));
        }
        // Four decades on 200 units: 50 each.
        for (ns, y) in [(1e5, 250.0), (1e6, 200.0), (1e8, 100.0), (1e9, 50.0), (1.0, 250.0), (1e12, 50.0)] {
            assert!((frame.y(ns) - y).abs() < 1e-6, "{ns}: {}", frame.y(ns));
        }
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!([0, 9, 53, 80, 700, 10_000].map(tick_step), [1, 1, 10, 10, 100, 2000]);
    }

    #[test]
    fn every_stop_is_a_mark_and_titles_are_escaped() {
        let panel = Panel {
            title: "ArrayQueue<u64> & more".into(),
            stops: vec![
                (0, 250_000, Outcome::WentOn),
                (1, 0, Outcome::CallsStuck),
                (2, 0, Outcome::DeliveryStuck),
                (3, 0, Outcome::NotControlled),
            ],
        };
        let empty = svg("t", 1_000_000_000, &[]);
        let text = svg("t", 1_000_000_000, std::slice::from_ref(&panel));
        // The legend has one mark of each kind.
        let marks = |text: &str| {
            [
                text.matches("<circle").count(),
                text.matches(&format!("fill=\"{STUCK}\"/>")).count(),
                text.matches(&format!("stroke=\"{UNCLEAR}\"")).count(),
            ]
        };
        assert_eq!(marks(&empty), [3, 1, 1]);
        assert_eq!(marks(&text), [6, 2, 2]);
        assert!(text.contains("ArrayQueue&lt;u64&gt; &amp; more"));
        assert!(text.contains("4 stops, 2 never ended, 1 not under control; longest 250 µs"), "{text}");
    }
}
