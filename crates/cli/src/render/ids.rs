/// A step's id with what vendors draw by lot cut down to its end. Programs are told all of it.
pub fn short(id: &str) -> String {
    const DRAWN_CHARS_MIN: usize = 32;
    const SHOWN_CHARS: usize = 6;
    let is_drawn = |part: &str| {
        let is_hex = part.len() >= DRAWN_CHARS_MIN && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex || part.starts_with("ocid1.")
    };
    let end = |part: &str| part.len().checked_sub(SHOWN_CHARS).and_then(|at| part.get(at..).map(str::to_owned));
    let parts = id.split('/').map(|part| match end(part) {
        Some(end) if is_drawn(part) => format!("…{end}"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn what_vendors_draw_by_lot_is_cut_and_names_are_not() {
        let image = "delete/oci/image/bouquet-talos-1.14.6-arm64-4a0d65c669d4/ocid1.image.oc1.eu-frankfurt-1.aaaavw7gm";
        assert_eq!(short(image), "delete/oci/image/bouquet-talos-1.14.6-arm64-4a0d65c669d4/…avw7gm");
        let record = "delete-record/api.example.com/f3605bbc6be5c19d9089c085b0f8035e";
        assert_eq!(short(record), "delete-record/api.example.com/…f8035e");
        assert_eq!(short("launch/rose"), "launch/rose");
    }
}
