//! Curves as an SVG: a panel for each number of hosts and each skew.

use std::fmt::Write;

/// One number of hosts and one skew.
pub(super) struct Panel {
    pub(super) hosts: usize,
    pub(super) skew: f64,
    pub(super) curves: Vec<Curve>,
}

/// Of the requests so far, how many percent were served: over how many were asked, in percent of the addresses.
pub(super) struct Curve {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// Size of a panel, and what is around it, in pixels.
const WIDE: f64 = 220.0;
const HIGH: f64 = 130.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 70.0;
const GAP: f64 = 34.0;

/// In the order of the curves; told apart by their dashes too.
const STROKES: &[(&str, &str)] = &[("#0072b2", ""), ("#d55e00", "6 3"), ("#555555", "2 3")];

impl Curve {
    /// From which requests were served, in their order.
    pub(super) fn new(name: &'static str, served: &[bool], points: usize) -> Curve {
        let mut sums = Vec::with_capacity(served.len() + 1);
        sums.push(0);
        for served in served {
            sums.push(sums.last().copied().unwrap_or(0) + usize::from(*served));
        }
        // The last request is one more than there are addresses.
        let all = served.len().saturating_sub(1).max(1);
        let points = (1..=points).map(|nth| {
            let asked = (all * nth / points).max(1);
            (100.0 * asked as f64 / all as f64, 100.0 * sums[asked] as f64 / asked as f64)
        });
        Curve { name, points: points.collect() }
    }
}

/// All panels, a row for each number of hosts.
pub(super) fn svg(panels: &[Panel]) -> String {
    let mut skews: Vec<f64> = panels.iter().map(|panel| panel.skew).collect();
    skews.sort_by(f64::total_cmp);
    skews.dedup();
    let mut hosts: Vec<usize> = panels.iter().map(|panel| panel.hosts).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let (width, height) =
        (LEFT + skews.len() as f64 * (WIDE + GAP), TOP + hosts.len() as f64 * (HIGH + GAP) + 30.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">Requests served, in percent, as a pool fills</text>\n"
    );
    legend(&mut text, panels);
    for panel in panels {
        let column = skews.iter().position(|skew| *skew == panel.skew).unwrap_or(0);
        let row = hosts.iter().position(|hosts| *hosts == panel.hosts).unwrap_or(0);
        let (x, y) = (LEFT + column as f64 * (WIDE + GAP), TOP + row as f64 * (HIGH + GAP));
        draw(&mut text, panel, x, y);
    }
    let (x, y) = (LEFT, height - 10.0);
    put(
        &mut text,
        format_args!(
            "<text x=\"{x}\" y=\"{y}\">across: requests so far, in percent of all addresses</text>\n"
        ),
    );
    text + "</svg>\n"
}

fn legend(text: &mut String, panels: &[Panel]) {
    let Some(panel) = panels.first() else { return };
    for (nth, (curve, (colour, dashes))) in panel.curves.iter().zip(STROKES).enumerate() {
        let (x, name) = (LEFT + 150.0 * nth as f64, curve.name);
        put(
            text,
            format_args!(
                "<path d=\"M{x} 36h24\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>\
             <text x=\"{:.0}\" y=\"40\">{name}</text>\n",
                x + 30.0
            ),
        );
    }
}

fn draw(text: &mut String, panel: &Panel, x: f64, y: f64) {
    let Panel { hosts, skew, .. } = panel;
    put(
        text,
        format_args!(
            "<text x=\"{x:.0}\" y=\"{:.0}\">{hosts} hosts, skew {skew}</text>\n\
         <rect x=\"{x:.0}\" y=\"{y:.0}\" width=\"{WIDE}\" height=\"{HIGH}\" fill=\"none\" stroke=\"#bbbbbb\"/>\n",
            y - 5.0
        ),
    );
    for percent in [0.0, 50.0, 100.0] {
        let (up, along) = (y + HIGH * (1.0 - percent / 100.0), x + WIDE * percent / 100.0);
        put(
            text,
            format_args!(
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{percent}</text>\
             <text x=\"{along:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{percent}</text>\n",
                x - 4.0,
                up + 4.0,
                y + HIGH + 13.0
            ),
        );
    }
    for (curve, (colour, dashes)) in panel.curves.iter().zip(STROKES) {
        let at = |(asked, served): &(f64, f64)| {
            format!("{:.1},{:.1}", x + WIDE * asked / 100.0, y + HIGH * (1.0 - served / 100.0))
        };
        let points: Vec<String> = curve.points.iter().map(at).collect();
        put(
            text,
            format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dashes}\"/>\n",
                points.join(" ")
            ),
        );
    }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_tells_how_many_of_the_requests_so_far_were_served() {
        let curve = Curve::new("some", &[true, true, false, false, false], 2);
        assert_eq!(curve.points, [(50.0, 100.0), (100.0, 50.0)]);
    }

    #[test]
    fn a_drawing_has_a_panel_for_each_number_of_hosts_and_each_skew() {
        let panel = |hosts, skew| Panel { hosts, skew, curves: vec![Curve::new("some", &[true, false], 4)] };
        let drawn = svg(&[panel(10, 0.0), panel(10, 1.5), panel(500, 0.0), panel(500, 1.5)]);
        assert_eq!(drawn.matches("<polyline").count(), 4);
        assert!(drawn.contains("500 hosts, skew 1.5") && drawn.ends_with("</svg>\n"));
        assert_eq!(drawn.matches('<').count(), drawn.matches('>').count());
    }
}
