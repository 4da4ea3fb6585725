//! A unified diff of two texts, as dry runs show it.

use std::fmt::Write as _;

/// Unchanged lines around a change.
const CONTEXT: usize = 3;
/// Longer texts are not compared, as Talos says of 75,000 lines: configurations have hundreds.
const LINES_MAX: usize = 10_000;

/// Empty if the texts are the same.
pub(super) fn unified(old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let (before, after): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    if before.len() + after.len() > LINES_MAX {
        return format!("@@ -1,{} +1,{} @@ diff too large to display\n", before.len(), after.len());
    }
    let script = script(&before, &after);
    let mut out = String::from("--- a\n+++ b\n");
    let changed: Vec<usize> =
        (0..script.len()).filter(|at| script.get(*at).is_some_and(|line| line.sign != ' ')).collect();
    let mut rest = changed.as_slice();
    while let Some((first, _)) = rest.split_first() {
        // Changes whose context touches stand in one hunk.
        let together = 1 + rest.windows(2).take_while(|pair| pair[1] - pair[0] <= 2 * CONTEXT).count();
        let (hunk, others) = rest.split_at(together);
        let end = hunk.last().map_or(*first, |last| last + CONTEXT + 1).min(script.len());
        let lines = script.get(first.saturating_sub(CONTEXT)..end).unwrap_or_default();
        let count = |missing: char| lines.iter().filter(|line| line.sign != missing).count();
        let from = lines.first().map_or((1, 1), |line| line.at);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "@@ -{},{} +{},{} @@", from.0, count('+'), from.1, count('-'));
        for line in lines {
            out.push(line.sign);
            out += line.text;
            out.push('\n');
        }
        rest = others;
    }
    out
}

struct Line<'a> {
    sign: char,
    text: &'a str,
    /// The line's number in the old and in the new text, from 1.
    at: (usize, usize),
}

/// Both texts as one: what stays, what goes, what comes. By the longest common subsequence of what lies between a common
/// head and a common tail.
fn script<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Line<'a>> {
    let head = before.iter().zip(after).take_while(|(one, other)| one == other).count();
    let most = before.len().min(after.len()) - head;
    let tail = before.iter().rev().zip(after.iter().rev()).take(most).take_while(|(one, other)| one == other).count();
    let (old, new) = (&before[head..before.len() - tail], &after[head..after.len() - tail]);
    // `common[i][j]`: the length of the longest common subsequence of `old[i..]` and `new[j..]`.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let mut lines: Vec<Line<'a>> = Vec::new();
    let mut push = |sign, text, i: usize, j: usize| lines.push(Line { sign, text, at: (i + 1, j + 1) });
    for (at, text) in before[..head].iter().enumerate() {
        push(' ', text, at, at);
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            push(' ', old[i], head + i, head + j);
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            push('-', old[i], head + i, head + j);
            i += 1;
        } else {
            push('+', new[j], head + i, head + j);
            j += 1;
        }
    }
    for (at, text) in before[before.len() - tail..].iter().enumerate() {
        push(' ', text, before.len() - tail + at, after.len() - tail + at);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn changes_come_with_three_lines_around_them() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\n";
        assert_eq!(unified(old, new), "--- a\n+++ b\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n");
        assert_eq!(unified(old, old), "");
    }

    #[test]
    fn changes_far_apart_are_hunks_of_their_own() {
        let old = (0..30).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
        let new = old.replace("\n2\n", "\ntwo\n").replace("\n25\n", "\n");
        let diff = unified(&old, &new);
        assert_eq!(diff.matches("@@ ").count(), 2, "{diff}");
        assert!(diff.contains("@@ -23,7 +23,6 @@\n 22\n 23\n 24\n-25\n 26\n 27\n 28\n"), "{diff}");
    }
}
