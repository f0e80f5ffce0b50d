//! The file name in the head of a multipart part, in the ways that clients
//! write it. Pure. Must not: judge a name.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_DISPOSITION;

/// The file name of a part, as it stands there and decoded: `filename*` (RFC
/// 8187) when it is there, else `filename` with its backslashes and the `%22`,
/// `%0D`, `%0A` of HTML forms undone.
pub(super) fn file_name(headers: &HeaderMap) -> Option<(String, String)> {
    let header = headers.get(CONTENT_DISPOSITION)?;
    let text = String::from_utf8_lossy(header.as_bytes());
    if let Some(extended) = parameter(&text, "filename*") {
        let encoded = extended.splitn(3, '\'').nth(2).unwrap_or("");
        let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
        let decoded = decoded.into_owned();
        return Some((extended, decoded));
    }
    let raw = parameter(&text, "filename")?;
    let mut decoded = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        // Some browsers send a Windows path's backslashes as they are, but a
        // path is not expected here.
        decoded.push(if c == '\\' {
            chars.next().unwrap_or('\\')
        } else {
            c
        });
    }
    let decoded = decoded
        .replace("%22", "\"")
        .replace("%0D", "\r")
        .replace("%0A", "\n");
    Some((raw, decoded))
}

/// The value of a parameter, without its quotes but with its backslashes.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header;
    loop {
        rest = rest.split_once(';')?.1.trim_start();
        let (name, value) = rest.split_once('=')?;
        let (value, after) = match value.strip_prefix('"') {
            None => value.split_at(value.find(';').unwrap_or(value.len())),
            Some(quoted) => {
                let mut escaped = false;
                let end = quoted.find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                })?;
                (&quoted[..end], &quoted[end + 1..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.trim_end().to_owned());
        }
        rest = after;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_as_received_and_decoded() {
        for (header, raw, decoded) in [
            (
                "form-data; name=\"file\"; filename=\"a b.txt\"",
                "a b.txt",
                "a b.txt",
            ),
            (
                "form-data; filename=plain.txt; name=file",
                "plain.txt",
                "plain.txt",
            ),
            (
                "form-data; filename=\"a\\\"b;c\\\\.txt\"; name=\"file\"",
                "a\\\"b;c\\\\.txt",
                "a\"b;c\\.txt",
            ),
            (
                "form-data; name=\"file\"; filename=\"a%22%0D%0A%41.txt\"",
                "a%22%0D%0A%41.txt",
                "a\"\r\n%41.txt",
            ),
            (
                "form-data; name=\"file\"; filename=\"资料.pdf\"",
                "资料.pdf",
                "资料.pdf",
            ),
            (
                "form-data; name=\"file\"; filename=\"x\"; filename*=UTF-8''%E8%B5%84%20%22.pdf",
                "UTF-8''%E8%B5%84%20%22.pdf",
                "资 \".pdf",
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_DISPOSITION, header.parse().unwrap());
            let expected = Some((raw.to_owned(), decoded.to_owned()));
            assert_eq!(file_name(&headers), expected, "{header}");
        }
        assert_eq!(parameter("form-data; name=\"file\"", "filename"), None);
        assert_eq!(parameter("form-data; filename=\"open", "filename"), None);
    }
}
