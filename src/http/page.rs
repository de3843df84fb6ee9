//! What an answer's body says to people, in one line.

/// Elements of a page that hold nothing for people; a title repeats what the body says.
const HIDDEN: [&str; 4] = ["head", "script", "style", "title"];

/// The escapes of HTML that servers' own pages have; that of the ampersand comes last.
const ESCAPES: [(&str, &str); 6] =
    [("&#39;", "'"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&amp;", "&")];

/// What `text` says: of a page in HTML its words, of anything else the text.
pub fn readable(text: &str) -> String {
    if !is_html(text) {
        return printable(text);
    }
    let words = [&HIDDEN[..], &HIDDEN[1..3]].into_iter().map(|hidden| words(text, hidden));
    words.into_iter().find(|words| !words.is_empty()).unwrap_or_default()
}

/// One line of text that a log can hold, whatever a peer sent.
fn printable(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.trim().to_owned()
}

fn is_html(text: &str) -> bool {
    let start = text.trim_start().as_bytes();
    ["<!doctype", "<html", "<head", "<body", "<h1", "<title"].iter().any(|tag| begins_with(start, tag))
}

/// The words between the tags; nothing of the elements `hidden`.
fn words(page: &str, hidden: &[&str]) -> String {
    let mut text = String::with_capacity(page.len());
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        let tag = &rest[at..];
        text.push(' ');
        let is_hidden = |name: &&&str| {
            let after = tag.as_bytes().get(1 + name.len());
            begins_with(&tag.as_bytes()[1..], name) && !after.is_some_and(u8::is_ascii_alphanumeric)
        };
        rest = match hidden.iter().find(is_hidden) {
            Some(name) => after_end_of(tag, name),
            None if tag.starts_with("<!--") => after(tag, "-->"),
            None => after(tag, ">"),
        };
    }
    text.push_str(rest);
    for (escape, character) in ESCAPES {
        text = text.replace(escape, character);
    }
    let spaced = printable(&text);
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn after<'t>(text: &'t str, mark: &str) -> &'t str {
    text.find(mark).map_or("", |at| &text[at + mark.len()..])
}

/// What follows the end of the element `name`.
fn after_end_of<'t>(text: &'t str, name: &str) -> &'t str {
    let end = text.match_indices("</").find(|(at, _)| begins_with(&text.as_bytes()[at + 2..], name));
    end.map_or("", |(at, _)| after(&text[at..], ">"))
}

/// `what` is in small letters.
fn begins_with(text: &[u8], what: &str) -> bool {
    text.get(..what.len()).is_some_and(|start| start.eq_ignore_ascii_case(what.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_its_words() {
        let nginx = "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body>\r\n\
             <center><h1>400 Bad Request</h1></center>\r\n<center>No required SSL certificate was sent</center>\r\n\
             <hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n";
        let styled =
            "<!DOCTYPE HTML><STYLE>p { x: y }</STYLE><!-- a > b --><p>It&#39;s <header>no</header> use &amp;lt;";
        for (text, said) in [
            (nginx, "400 Bad Request No required SSL certificate was sent nginx/1.22.1"),
            (styled, "It's no use &lt;"),
            ("<html><head><title>Only this</title></head></html>", "Only this"),
            ("<html><head><title>cut o", "cut o"),
            ("<html><script>no end", ""),
            ("<h1>a <", "a"),
            ("a < b, &amp; plain", "a < b, &amp; plain"),
        ] {
            assert_eq!(readable(text), said);
        }
    }

    #[test]
    fn what_a_peer_says_becomes_one_printable_line() {
        assert_eq!(printable(" out of\r\norder\x1b[31m \u{fffd}\n"), "out of  order [31m \u{fffd}");
    }
}
