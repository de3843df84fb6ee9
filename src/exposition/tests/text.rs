//! Pages of Prometheus' text format 0.0.4.

use super::{Format, Limits, Lines, Page, flaw, read, text};

#[test]
fn the_example_of_the_format_s_documentation() {
    let page = r#"# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\DIR\\FILE.TXT",error="Cannot find file:\n\"FILE.TXT\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf

# A histogram, which has a pretty complex representation in the text format:
# HELP http_request_duration_seconds A histogram of the request duration.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320

# Finally a summary, which has a complex representation, too:
# HELP rpc_duration_seconds A summary of the RPC duration in seconds.
# TYPE rpc_duration_seconds summary
rpc_duration_seconds{quantile="0.01"} 3102
rpc_duration_seconds{quantile="0.5"} 4773
rpc_duration_seconds_sum 1.7560473e+07
rpc_duration_seconds_count 2693
"#;
    let of_http = "(http_requests_total Counter: The total number of HTTP requests.)";
    let of_duration = "(http_request_duration_seconds Histogram: A histogram of the request duration.)";
    let of_rpc = "(rpc_duration_seconds Summary: A summary of the RPC duration in seconds.)";
    assert_eq!(
        text(page),
        [
            format!(r#"Value http_requests_total method="post" code="200" {of_http} 1027.0 @1395066363000"#),
            format!(r#"Value http_requests_total method="post" code="400" {of_http} 3.0 @1395066363000"#),
            r#"Value msdos_file_access_time_seconds path="C:\\DIR\\FILE.TXT" error="Cannot find file:\n\"FILE.TXT\"" (msdos_file_access_time_seconds Untyped: ) 1458255915.0"#.into(),
            "Value metric_without_timestamp_and_labels (metric_without_timestamp_and_labels Untyped: ) 12.47".into(),
            r#"Value something_weird problem="division by zero" (something_weird Untyped: ) inf"#.into(),
            format!(r#"Bucket http_request_duration_seconds_bucket le="0.05" {of_duration} 24054.0"#),
            format!(r#"Bucket http_request_duration_seconds_bucket le="+Inf" {of_duration} 144320.0"#),
            format!("Sum http_request_duration_seconds_sum {of_duration} 53423.0"),
            format!("Count http_request_duration_seconds_count {of_duration} 144320.0"),
            format!(r#"Quantile rpc_duration_seconds quantile="0.01" {of_rpc} 3102.0"#),
            format!(r#"Quantile rpc_duration_seconds quantile="0.5" {of_rpc} 4773.0"#),
            format!("Sum rpc_duration_seconds_sum {of_rpc} 17560473.0"),
            format!("Count rpc_duration_seconds_count {of_rpc} 2693.0"),
        ]
    );
}

/// Prometheus 3.5, asked for each, takes it, with this series; 2.42 all but the quoted names.
#[test]
fn odd_lines_that_prometheus_takes() {
    for (line, series, value) in [
        ("a 1", "a", "1.0"),
        ("a{} 1", "a", "1.0"),
        ("a{b=\"c\"}1", "a b=\"c\"", "1.0"),
        ("a\t{ b = \"c\" , } \t 1 \t", "a b=\"c\"", "1.0"),
        ("a{b=\"c\" d=\"e\"} 1", "a b=\"c\" d=\"e\"", "1.0"),
        ("a{b=\"c\nd\"} 1", "a b=\"c\\nd\"", "1.0"),
        ("a{b=\"\\x\\\\n\\n\"} 1", "a b=\"\\\\x\\\\n\\n\"", "1.0"),
        ("a{b=\"x\0\"} 1", "a b=\"x\\0\"", "1.0"),
        ("a{b=\"{},=\"} 1", "a b=\"{},=\"", "1.0"),
        ("a{b=\"\",c=\"d\"} 1", "a c=\"d\"", "1.0"),
        ("a:b:c 1", "a:b:c", "1.0"),
        ("a NaN", "a", "NaN"),
        ("a nan", "a", "NaN"),
        ("a -inf", "a", "-inf"),
        ("a +Infinity", "a", "inf"),
        ("a 1e-400", "a", "0.0"),
        ("a 1 5", "a", "1.0 @5"),
        ("a 1 5\t", "a", "1.0 @5"),
        ("{\"my.name\"} 1", "my.name", "1.0"),
        ("{\"my.name\",} 1", "my.name", "1.0"),
        ("{l=\"x\",\"my.name\",\"a b\"=\"y\"} 1", "my.name l=\"x\" a b=\"y\"", "1.0"),
        ("{\"a\\\"b\\n\"} 1", "a\"b\n", "1.0"),
        ("{\"größe\"} 1", "größe", "1.0"),
    ] {
        let all = text(line);
        assert_eq!(all.len(), 1, "{line:?}");
        let name = series.split_once([' ', '{']).map_or(series, |(name, _)| name);
        let name = if line.starts_with("{\"a\\") { series } else { name };
        assert_eq!(all[0], format!("Value {series} ({name} Untyped: ) {value}"), "{line:?}");
    }
}

#[test]
fn lines_that_break_the_format() {
    for (page, what) in [
        ("a", "line 1: expected a blank behind the name: \"a\""),
        ("a\n", "line 1: expected a blank behind the name: \"a\""),
        ("ok 1\na \n", "line 2: expected a number: \"a \""),
        ("a{b='c'} 1\n", "line 1: expected a label's value in quotes: \"a{b='c'} 1\""),
        ("a{b=\n", "line 1: expected a label's value in quotes: \"a{b=\""),
        ("a{=\"\"} 0", "line 1: expected a label's name: \"a{=\\\"\\\"} 0\""),
        ("a{b=\"c\",,d=\"e\"} 1", "line 1: expected a label's name: \"a{b=\\\"c\\\",,d=\\\"e\\\"} 1\""),
        ("a{,} 1", "line 1: expected a label's name: \"a{,} 1\""),
        ("{A}0", "line 1: expected = behind the label's name: \"{A}0\""),
        ("{\"a\", \"b = \"c\"}", "line 1: expected = behind the label's name: \"{\\\"a\\\", \\\"b = \\\"c\\\"}\""),
        ("{a=\"ok\"} 1", "line 1: a sample without a name: \"{a=\\\"ok\\\"} 1\""),
        ("{} 1", "line 1: a sample without a name: \"{} 1\""),
        ("{\"\"} 1", "line 1: an empty name: \"{\\\"\\\"} 1\""),
        ("a{\"b\"} 1", "line 1: a second name: \"a{\\\"b\\\"} 1\""),
        ("{\"a\",\"b\"} 1", "line 1: a second name: \"{\\\"a\\\",\\\"b\\\"} 1\""),
        ("a{__name__=\"b\"} 1", "line 1: a second name, as a label: \"a{__name__=\\\"b\\\"} 1\""),
        ("{\"a\",\"\"=\"b\"} 1", "line 1: an empty label name: \"{\\\"a\\\",\\\"\\\"=\\\"b\\\"} 1\""),
        ("a{b=\"1\",b=\"2\"} 1", "line 1: a label that was there before: \"a{b=\\\"1\\\",b=\\\"2\\\"} 1\""),
        ("a{b=\"\",b=\"2\"} 1", "line 1: a label that was there before: \"a{b=\\\"\\\",b=\\\"2\\\"} 1\""),
        ("a{b:c=\"1\"} 1", "line 1: expected = behind the label's name: \"a{b:c=\\\"1\\\"} 1\""),
        ("a{b=\"", "line 1: a quoted text without an end: \"a{b=\\\"\""),
        ("a{b=\"\\", "line 1: a quoted text without an end: \"a{b=\\\"\\\\\""),
        ("a{b=\"c\\\n\"} 1", "line 1: a quoted text without an end: \"a{b=\\\"c\\\\\""),
        ("a{b=\"c\"}", "line 1: expected a number behind the labels: \"a{b=\\\"c\\\"}\""),
        ("a{b=\"c\"} {", "line 1: expected a number: \"a{b=\\\"c\\\"} {\""),
        ("a true", "line 1: expected a number: \"a true\""),
        ("a 1_2", "line 1: expected a number: \"a 1_2\""),
        ("a 0x1p-3", "line 1: expected a number: \"a 0x1p-3\""),
        ("a 1e400", "line 1: expected a number: \"a 1e400\""),
        ("a 1\r\n", "line 1: expected a number: \"a 1\\r\""),
        ("a 1 -5", "line 1: expected a time in milliseconds or the line's end: \"a 1 -5\""),
        ("a 1 5.0", "line 1: expected a time in milliseconds or the line's end: \"a 1 5.0\""),
        ("a 1 5 6", "line 1: expected a time in milliseconds or the line's end: \"a 1 5 6\""),
        ("a 1 # x", "line 1: expected a time in milliseconds or the line's end: \"a 1 # x\""),
        ("a 1 9223372036854775808", "line 1: a time beyond 64 bits: \"a 1 9223372036854775808\""),
        ("a+1", "line 1: expected a blank behind the name: \"a+1\""),
        ("9a 1", "line 1: expected a name, a brace or a comment: \"9a 1\""),
        ("<html>", "line 1: expected a name, a brace or a comment: \"<html>\""),
        ("ok 1\n\0\0\0", "line 2: expected a name, a brace or a comment: \"\\0\\0\\0\""),
        ("a{b\0=\"c\"} 1", "line 1: expected = behind the label's name: \"a{b\\0=\\\"c\\\"} 1\""),
        ("{\"a\0\"} 1", "line 1: a name with a NUL in it: \"{\\\"a\\0\\\"} 1\""),
        ("# TYPE a gauge \n", "line 1: a type that the format does not have: \"# TYPE a gauge \""),
        ("# TYPE a  gauge\n", "line 1: a type that the format does not have: \"# TYPE a  gauge\""),
        ("# TYPE a unknown\n", "line 1: a type that the format does not have: \"# TYPE a unknown\""),
        ("# TYPE a Gauge\n", "line 1: a type that the format does not have: \"# TYPE a Gauge\""),
        ("# TYPE a\n", "line 1: a type that the format does not have: \"# TYPE a\""),
        ("# TYPE #\n", "line 1: expected a name behind HELP, TYPE or UNIT: \"# TYPE #\""),
        ("# HELP \n", "line 1: expected a name behind HELP, TYPE or UNIT: \"# HELP \""),
    ] {
        assert_eq!(flaw(page, Format::Text), what, "{page:?}");
    }
    assert_eq!(flaw(b"a{b=\"\xff\"} 1\n", Format::Text), "line 1: not UTF-8: \"a{b=\\\"\u{fffd}\\\"} 1\"");
    assert_eq!(flaw(b"a 1\n# HELP a caf\xe9\n", Format::Text), "line 2: not UTF-8: \"# HELP a caf\u{fffd}\"");
    assert_eq!(
        flaw(b"a{\xff=\"b\"} 1\n", Format::Text),
        "line 1: expected a label's name: \"a{\u{fffd}=\\\"b\\\"} 1\""
    );
}

#[test]
fn comments_and_metadata_in_odd_forms() {
    let page = "#\n#HELP x no metadata\n# Hrandom\n#\tTYPE a counter\n# HELP a  two blanks, \\\\ \\n \\\" \\x\na 1\n\
                # HELP b \n# HELP c\n \t\n# TYPE c\tgauge\nb 2\nc 3\n# HELP d dashes-are-text\n d 4\n\
                # HELP \"e.f\" quoted\n# TYPE \"e.f\" untyped\n{\"e.f\"} 5\n# HELPX y\n# HELP\n# HELP g   \ng 6";
    assert_eq!(
        text(page),
        [
            "Value a (a Counter:  two blanks, \\ \n \\\" \\x) 1.0",
            "Value b (b Untyped: ) 2.0",
            "Value c (c Gauge: ) 3.0",
            "Value d (d Untyped: dashes-are-text) 4.0",
            "Value e.f (e.f Untyped: quoted) 5.0",
            "Value g (g Untyped: ) 6.0",
        ]
    );
    // Comments are for nobody, whatever they hold.
    assert_eq!(read(b"# caf\xe9 \0 \xff\na 1\n", Format::Text).unwrap().len(), 1);
}

#[test]
fn a_page_of_nothing_is_one() {
    for page in ["", "\n", " \t\n\n", "# only a comment", "# TYPE a counter"] {
        assert_eq!(text(page), Vec::<String>::new(), "{page:?}");
    }
}

#[test]
fn metadata_holds_for_what_stands_behind_it_by_name() {
    let page = "early_total 1\n# TYPE early_total counter\nearly_total{x=\"y\"} 2\n# TYPE b gauge\nb 3\n\
                early_total{x=\"z\"} 4\nb_total 5\n# HELP early_total In two pieces.\nearly_total{x=\"w\"} 6\n";
    assert_eq!(
        text(page),
        [
            "Value early_total (early_total Untyped: ) 1.0",
            "Value early_total x=\"y\" (early_total Counter: ) 2.0",
            "Value b (b Gauge: ) 3.0",
            "Value early_total x=\"z\" (early_total Counter: ) 4.0",
            "Value b_total (b_total Untyped: ) 5.0",
            "Value early_total x=\"w\" (early_total Counter: In two pieces.) 6.0",
        ]
    );
}

#[test]
fn parts_of_histograms_and_summaries_are_known_by_type_and_label() {
    let page = "# TYPE h histogram\nh_bucket 1\nh_bucket{le=\"1\"} 1\nh_max 1\nh 1\n\
                # TYPE s summary\ns 1\ns{quantile=\"1\"} 1\ns_bucket 1\n# TYPE g gauge\ng_sum 1\n";
    let roles: Vec<String> =
        text(page).iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        roles,
        [
            "Value h_bucket",
            "Bucket h_bucket",
            "Value h_max",
            "Value h",
            "Value s",
            "Quantile s",
            "Value s_bucket",
            "Value g_sum"
        ]
    );
}

#[test]
fn series_and_families_that_come_twice_are_given_twice() {
    assert_eq!(text("a 1\na 1\na 2\n").len(), 3);
    assert_eq!(text("# TYPE a gauge\na 1\n# TYPE a gauge\na{b=\"c\"} 1\n").len(), 2);
}

#[test]
fn what_is_over_a_limit_is_named() {
    let limits = Limits { samples: 3, labels: 2, label_name_bytes: 4, label_value_bytes: 5 };
    for (page, what) in [
        ("a 1\na 2\na 3\na 4\n", "line 4: over the limit samples (3): \"a 4\""),
        ("a{b=\"\",c=\"\",d=\"\"} 1", "line 1: over the limit labels (2): \"a{b=\\\"\\\",c=\\\"\\\",d=\\\"\\\"} 1\""),
        ("a{bcdef=\"\"} 1", "line 1: over the limit label_name_bytes (4): \"a{bcdef=\\\"\\\"} 1\""),
        ("a{b=\"123456\"} 1", "line 1: over the limit label_value_bytes (5): \"a{b=\\\"123456\\\"} 1\""),
        ("abcdef 1", "line 1: over the limit label_value_bytes (5): \"abcdef 1\""),
        ("# TYPE abcdef gauge", "line 1: over the limit label_value_bytes (5): \"# TYPE abcdef gauge\""),
        ("# HELP a\n# HELP b\n# HELP c\n# HELP d\n", "line 4: over the limit samples (3): \"# HELP d\""),
    ] {
        let mut page_of = Page::new();
        let found = page_of.read(&mut page.into(), Format::Text, &limits, &mut Lines::default());
        assert_eq!(found.unwrap_err().to_string(), what, "{page:?}");
    }
    let mut page = Page::new();
    let mut read = |text: &str, limits: &Limits| {
        page.read(&mut text.into(), Format::Text, limits, &mut Lines::default()).map_err(|flaw| flaw.to_string())
    };
    let full = "a{b=\"12345\",bcde=\"\"} 1\nabcde 2\nc 3\n";
    assert_eq!(read(full, &limits).unwrap().fresh, 3);
    // Also when the lines are as before.
    assert_eq!(read(full, &limits).unwrap().fresh, 0);
    assert_eq!(read(&format!("{full}c 3\n"), &limits), Err("line 4: over the limit samples (3): \"c 3\"".into()));
    // And another limit counts for what is known already.
    assert_eq!(
        read(full, &Limits { labels: 1, ..limits }),
        Err("line 1: over the limit labels (1): \"a{b=\\\"12345\\\",bcde=\\\"\\\"} 1\"".into())
    );
}
