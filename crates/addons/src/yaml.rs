use serde::Serialize;

/// One document as kubectl prints it: two spaces, text that looks like something else in quotes.
pub(crate) fn write(value: &impl Serialize) -> String {
    let options = serde_saphyr::ser_options! { indent_step: 2, compact_list_indent: true, prefer_block_scalars: true };
    // Neither writer fails but on types that no value of ours has (keys that are no text, bytes).
    let value = serde_json::to_value(value).unwrap_or_default();
    serde_saphyr::to_string_with_options(&value, options).unwrap_or_default()
}
