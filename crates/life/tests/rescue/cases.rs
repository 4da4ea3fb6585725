//! What is asked of a rescue system's SSH and of the shell behind it, whichever it is.

/// A command for root's shell. `{image}` is the URL of an image, `{missing}` one that leads nowhere.
pub struct Case {
    pub name: &'static str,
    pub script: &'static str,
    pub stdin: Input,
    pub key: Key,
}

#[derive(Clone, Copy)]
pub enum Input {
    Nothing,
    Text(&'static str),
    /// So many bytes of no pattern.
    Noise(usize),
    /// The start of the packed image, and nothing after it.
    HalfAnImage,
}

/// Who knocks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Armed,
    Stranger,
}

const fn case(name: &'static str, script: &'static str) -> Case {
    Case { name, script, stdin: Input::Nothing, key: Key::Armed }
}

const fn fed(name: &'static str, stdin: Input, script: &'static str) -> Case {
    Case { name, script, stdin, key: Key::Armed }
}

pub const CASES: &[Case] = &[
    Case { name: "a stranger", script: "echo in", stdin: Input::Nothing, key: Key::Stranger },
    case("streams and status", "echo out; echo err >&2; exit 3"),
    case("lists", "false || echo rescued && echo on; false; echo $?; ! true; echo $?"),
    case("errexit", "set -e; false; echo never"),
    case("errexit forgives lists", "set -e; false || true; ! true; echo still"),
    case("nounset", "set -u; echo \"$NONE\"; echo never"),
    case("pipefail", "false | true; echo $?; set -o pipefail; false | true; echo $?; exit 3 | true; echo $?"),
    case("words", r#"X='a  b'; echo $X; echo "$X"; echo '$X' \$X "\$X"; printf '%s-' $X; printf '[%s]\n' "$X""#),
    case("output as a word", r#"echo "$(echo a; echo b)"; echo $(echo a; echo b); X=$(false); echo $?"#),
    case("no such program", "nonsense; echo $?"),
    case("a program's path", "command -v wget dd; command -v nonsense; echo $?"),
    case("nested", "bash -c 'set -e; exit 4; echo no'; echo $?; sh -ec 'false; echo no'; echo $?"),
    case("redirections", "echo one > /run/f; echo two >> /run/f; cat /run/f; nonsense > /run/g 2>&1; cat /run/g"),
    case("no such file", "cat < /run/none; echo $?; cat /run/none; echo $?"),
    case("tests", "[ -e /run/none ] || echo no; [ 3 -gt 2 ] && echo more; test -z ''; echo $?; [ a = b ]; echo $?"),
    case(
        "head and wc",
        r"printf 'a\nb\nc' > /run/h; head -n 1 /run/h; head -c 3 /run/h; wc -l < /run/h; wc -c < /run/h",
    ),
    case("sync and sleep", "sync; echo $?; sleep 0.1; echo $?"),
    fed("input", Input::Text("given"), "cat"),
    fed("much input", Input::Noise(200_000), "sha256sum"),
    fed("input for one", Input::Text("one\ntwo\n"), "head -n 1; echo done"),
    case("dd of zeros", "dd if=/dev/zero bs=512 count=4 | wc -c"),
    fed("dd of little", Input::Text("given"), "dd of=/run/d; cat /run/d"),
    fed("dd without a word", Input::Noise(5000), "dd bs=1k status=none | sha256sum"),
    fed(
        "dd to the middle of the disk",
        Input::Noise(1300),
        "dd if=/dev/zero of=/dev/sda bs=4k count=4 status=none && dd of=/dev/sda bs=512 seek=2 conv=notrunc && sync && \
         dd if=/dev/sda bs=512 skip=1 count=5 status=none | sha256sum",
    ),
    case("dd in vain", "dd if=/run/none of=/run/d; echo $?; dd wrong; echo $?"),
    fed("an archive that is cut", Input::HalfAnImage, "xz -dc > /run/x; echo $?"),
    fed("no archive", Input::Text("given"), "set -o pipefail; xz -dc | cat; echo $?"),
    fed("no gzip", Input::Text("given"), "gzip -dc | cat; echo $?"),
    case("a fetch", "wget -nv -O - {image} | sha256sum; wget -q -O /run/i {image} && wc -c < /run/i"),
    case("a fetch in vain", "wget -nv -O - {missing}; echo $?; wget -q -O - {missing}; echo $?"),
    case(
        "an image on the disk",
        "set -o pipefail; wget -nv -O - {image} | xz -dc | dd of=/dev/sda bs=4M iflag=fullblock conv=fsync \
         status=progress && sync && head -c 1048576 /dev/sda | sha256sum",
    ),
    case(
        "an image that is missing",
        "set -o pipefail; wget -nv -O - {missing} | xz -dc | dd of=/dev/sda conv=notrunc; echo $?",
    ),
];

/// Each lie, and the case that must notice it.
pub const LIES: &[(&str, &str)] = &[
    ("rescue-any-key", "a stranger"),
    ("rescue-host-key-changes", "streams and status"),
    ("rescue-status-swallowed", "streams and status"),
    ("rescue-stderr-as-stdout", "streams and status"),
    ("rescue-input-loses-its-end", "input"),
    ("rescue-errexit-ignored", "errexit"),
    ("rescue-pipefail-ignored", "pipefail"),
    ("rescue-nounset-ignored", "nounset"),
    ("rescue-quotes-split", "words"),
    ("rescue-append-overwrites", "redirections"),
    ("rescue-dd-one-block-less", "dd of zeros"),
    ("rescue-dd-skip-ignored", "dd to the middle of the disk"),
    ("rescue-dd-shifted", "dd to the middle of the disk"),
    ("rescue-dd-tail-lost", "dd to the middle of the disk"),
    ("rescue-unpack-forgives", "an archive that is cut"),
    ("rescue-wget-404-is-success", "a fetch in vain"),
];
