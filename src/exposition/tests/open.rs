//! Pages of OpenMetrics 1.0.

use super::{Format, flaw, open, read};

#[test]
fn the_examples_of_the_specification() {
    let page = r#"# TYPE acme_http_router_request_seconds summary
# UNIT acme_http_router_request_seconds seconds
# HELP acme_http_router_request_seconds Latency though all of ACME's HTTP request router.
acme_http_router_request_seconds_sum{path="/api/v1",method="GET"} 9036.32
acme_http_router_request_seconds_count{path="/api/v1",method="GET"} 807283.0
acme_http_router_request_seconds_created{path="/api/v1",method="GET"} 1605281325.0
# TYPE go_goroutines gauge
# HELP go_goroutines Number of goroutines that currently exist.
go_goroutines 69
# TYPE process_cpu_seconds counter
# UNIT process_cpu_seconds seconds
# HELP process_cpu_seconds Total user and system CPU time spent in seconds.
process_cpu_seconds_total 4.20072246e+06
# TYPE foo counter
foo_total 17.0 1520879607.789
foo_created 1520430000.123 1520879607.789
# TYPE state stateset
state{state="a"} 1
state{state="bb"} 0
# TYPE bar info
bar_info{entity="controller",name="pretty name",version="8.2.7"} 1
# TYPE hist histogram
hist_bucket{le="0.01"} 0 1.5
hist_bucket{le="0.1"} 8 # {} 0.054
hist_bucket{le="1"} 11 # {trace_id="KOO5S4vxi0o"} 0.67
hist_bucket{le="10"} 17 # {trace_id="oHg5SJYRHA0"} 9.8 1520879607.789
hist_bucket{le="+Inf"} 17
hist_count 17
hist_sum 324789.3
hist_created 1520430000.123
# TYPE gh gaugehistogram
gh_bucket{le="+Inf"} 42
gh_gcount 42
gh_gsum 3289.3
# TYPE u unknown
u 1
"#;
    let of_acme =
        "(acme_http_router_request_seconds Summary, seconds: Latency though all of ACME's HTTP request router.)";
    let labels = r#"path="/api/v1" method="GET""#;
    assert_eq!(
        open(page),
        [
            format!("Sum acme_http_router_request_seconds_sum {labels} {of_acme} 9036.32"),
            format!("Count acme_http_router_request_seconds_count {labels} {of_acme} 807283.0"),
            format!("Created acme_http_router_request_seconds_created {labels} {of_acme} 1605281325.0"),
            "Value go_goroutines (go_goroutines Gauge: Number of goroutines that currently exist.) 69.0".into(),
            "Value process_cpu_seconds_total (process_cpu_seconds Counter, seconds: Total user and system CPU time spent in seconds.) 4200722.46".into(),
            "Value foo_total (foo Counter: ) 17.0 @1520879607789".into(),
            "Created foo_created (foo Counter: ) 1520430000.123 @1520879607789".into(),
            r#"State state state="a" (state StateSet: ) 1.0"#.into(),
            r#"State state state="bb" (state StateSet: ) 0.0"#.into(),
            r#"Info bar_info entity="controller" name="pretty name" version="8.2.7" (bar Info: ) 1.0"#.into(),
            r#"Bucket hist_bucket le="0.01" (hist Histogram: ) 0.0 @1500"#.into(),
            r#"Bucket hist_bucket le="0.1" (hist Histogram: ) 8.0 #  0.054 None"#.into(),
            r#"Bucket hist_bucket le="1" (hist Histogram: ) 11.0 # trace_id="KOO5S4vxi0o" 0.67 None"#.into(),
            r#"Bucket hist_bucket le="10" (hist Histogram: ) 17.0 # trace_id="oHg5SJYRHA0" 9.8 Some(1520879607789)"#.into(),
            r#"Bucket hist_bucket le="+Inf" (hist Histogram: ) 17.0"#.into(),
            "Count hist_count (hist Histogram: ) 17.0".into(),
            "Sum hist_sum (hist Histogram: ) 324789.3".into(),
            "Created hist_created (hist Histogram: ) 1520430000.123".into(),
            r#"Bucket gh_bucket le="+Inf" (gh Gauge: ) 42.0"#.into(),
            "Count gh_gcount (gh Gauge: ) 42.0".into(),
            "Sum gh_gsum (gh Gauge: ) 3289.3".into(),
            "Value u (u Untyped: ) 1.0".into(),
        ]
    );
}

#[test]
fn odd_lines_that_prometheus_takes() {
    for (line, expected) in [
        ("a{} 1\n", "Value a (a Untyped: ) 1.0"),
        ("a{b=\"c\",} 1\n", "Value a b=\"c\" (a Untyped: ) 1.0"),
        ("a{b=\"\\\"\\n\\\\\\x\"} 1\n", "Value a b=\"\\\"\\n\\\\\\\\x\" (a Untyped: ) 1.0"),
        ("# HELP a escape \\ \\n \\\\ \\\" \\x\na 1\n", "Value a (a Untyped: escape \\ \n \\ \" \\x) 1.0"),
        ("# HELP a \n# UNIT a \na 1\n", "Value a (a Untyped: ) 1.0"),
        ("# HELP a  x \na 1\n", "Value a (a Untyped:  x ) 1.0"),
        ("# HELP a caf\u{e9}\0\na 1\n", "Value a (a Untyped: caf\u{e9}\0) 1.0"),
        ("# UNIT a_s s\na_s 1\n", "Value a_s (a_s Untyped, s: ) 1.0"),
        ("a nan\n", "Value a (a Untyped: ) NaN"),
        ("a 1 -1.5\n", "Value a (a Untyped: ) 1.0 @-1500"),
        ("a 1 1e3\n", "Value a (a Untyped: ) 1.0 @1000000"),
        ("a 1 0.0019\n", "Value a (a Untyped: ) 1.0 @1"),
        ("a 1 1.5 # {b=\"c\"} 2 3.5\n", "Value a (a Untyped: ) 1.0 @1500 # b=\"c\" 2.0 Some(3500)"),
        ("a 1 # {b=\"c # {\\\"\\n\",} 2\n", "Value a (a Untyped: ) 1.0 # b=\"c # {\\\"\\n\" 2.0 None"),
        ("a 1 # {\"b.c\"=\"d\",e=\"\"} 2\n", "Value a (a Untyped: ) 1.0 # b.c=\"d\" e=\"\" 2.0 None"),
        ("{\"a.b\",l=\"x\"} 1\n", "Value a.b l=\"x\" (a.b Untyped: ) 1.0"),
        (
            "# TYPE \"a.b_s\" counter\n# UNIT \"a.b_s\" s\n{\"a.b_s_total\"} 1\n",
            "Value a.b_s_total (a.b_s Counter, s: ) 1.0",
        ),
        // Named as the family, as those do it who take a page of text for one of these.
        ("# TYPE a_total counter\na_total 1\n", "Value a_total (a_total Counter: ) 1.0"),
        ("# TYPE i info\ni{x=\"y\"} 1\n", "Info i x=\"y\" (i Info: ) 1.0"),
    ] {
        assert_eq!(open(line), [expected], "{line:?}");
    }
    assert_eq!(read(b"# EOF", Format::OpenMetrics).unwrap().len(), 0);
    assert_eq!(read(b"a 1\n# EOF", Format::OpenMetrics).unwrap().len(), 1);
}

#[test]
fn pages_that_break_the_format() {
    let of_comment = "expected HELP, TYPE, UNIT or EOF behind #, and single spaces";
    let of_start = "expected a name, a brace or a comment";
    for (page, what) in [
        ("", "line 1: the page does not end with # EOF: \"\"".to_owned()),
        ("a 1\n", "line 1: the page does not end with # EOF: \"a 1\"".into()),
        ("\n# EOF\n", format!("line 1: {of_start}: \"\"")),
        (" a 1\n# EOF\n", format!("line 1: {of_start}: \" a 1\"")),
        ("9\n# EOF\n", format!("line 1: {of_start}: \"9\"")),
        ("#\n# EOF\n", format!("line 1: {of_comment}: \"#\"")),
        ("# H\n# EOF\n", format!("line 1: {of_comment}: \"# H\"")),
        ("#  TYPE c counter\n# EOF\n", format!("line 1: {of_comment}: \"#  TYPE c counter\"")),
        ("#\tTYPE c counter\n# EOF\n", format!("line 1: {of_comment}: \"#\\tTYPE c counter\"")),
        ("#EOF\n", format!("line 1: {of_comment}: \"#EOF\"")),
        ("# EOF\na 1\n", "line 1: something behind # EOF: \"# EOF\"".into()),
        ("# EOF\n\n", "line 1: something behind # EOF: \"# EOF\"".into()),
        ("# EOFa 1\n", "line 1: something behind # EOF: \"# EOFa 1\"".into()),
        ("# TYPE u untyped\n# EOF\n", "line 1: a type that the format does not have: \"# TYPE u untyped\"".into()),
        ("# TYPE c counter \n# EOF\n", "line 1: a type that the format does not have: \"# TYPE c counter \"".into()),
        ("# TYPE c  counter\n# EOF\n", "line 1: a type that the format does not have: \"# TYPE c  counter\"".into()),
        ("# TYPE m\n# EOF\n", "line 1: expected a space and a text behind the name: \"# TYPE m\"".into()),
        ("# HELP m\n# EOF\n", "line 1: expected a space and a text behind the name: \"# HELP m\"".into()),
        ("# UNIT \n# EOF\n", "line 1: expected a name behind HELP, TYPE or UNIT: \"# UNIT \"".into()),
        ("# UNIT m_s x\n# EOF\n", "line 1: the unit is not the end of the family's name: \"# UNIT m_s x\"".into()),
        ("# UNIT ms s\n# EOF\n", "line 1: the unit is not the end of the family's name: \"# UNIT ms s\"".into()),
        ("# UNIT s s\n# EOF\n", "line 1: the unit is not the end of the family's name: \"# UNIT s s\"".into()),
        ("a\n# EOF\n", "line 1: expected a blank behind the name: \"a\"".into()),
        ("a\t1\n# EOF\n", "line 1: expected a space in front of the number: \"a\\t1\"".into()),
        ("a  1\n# EOF\n", "line 1: expected a number: \"a  1\"".into()),
        ("a 1\t2\n# EOF\n", "line 1: expected a number: \"a 1\\t2\"".into()),
        ("a 1 \n# EOF\n", "line 1: expected a number: \"a 1 \"".into()),
        ("a 1 2 \n# EOF\n", "line 1: expected the line's end: \"a 1 2 \"".into()),
        ("a 1 2 #\n# EOF\n", "line 1: expected the line's end: \"a 1 2 #\"".into()),
        ("a 1 2 3\n# EOF\n", "line 1: expected the line's end: \"a 1 2 3\"".into()),
        ("a 1 NaN\n# EOF\n", "line 1: a time that is no number: \"a 1 NaN\"".into()),
        ("a 1 -Inf\n# EOF\n", "line 1: a time that is no number: \"a 1 -Inf\"".into()),
        ("a{b=\"c\", d=\"e\"} 1\n# EOF\n", "line 1: expected a label's name: \"a{b=\\\"c\\\", d=\\\"e\\\"} 1\"".into()),
        (
            "a{b=\"c\"d=\"e\"} 1\n# EOF\n",
            "line 1: expected a comma or a closing brace: \"a{b=\\\"c\\\"d=\\\"e\\\"} 1\"".into(),
        ),
        ("a{b=\"c\nd\"} 1\n# EOF\n", "line 1: a quoted text without an end: \"a{b=\\\"c\"".into()),
        ("a{b=\"c\"}1\n# EOF\n", "line 1: expected a space in front of the number: \"a{b=\\\"c\\\"}1\"".into()),
        (
            "a{b=\"c\",b=\"d\"} 1\n# EOF\n",
            "line 1: a label that was there before: \"a{b=\\\"c\\\",b=\\\"d\\\"} 1\"".into(),
        ),
        ("a 1 # {b=c} 1\n# EOF\n", "line 1: expected a label's value in quotes: \"a 1 # {b=c} 1\"".into()),
        ("a 1 # {\"b\"} 1\n# EOF\n", "line 1: expected = behind the label's name: \"a 1 # {\\\"b\\\"} 1\"".into()),
        (
            "a 1 # {b=\"c\"}\n# EOF\n",
            "line 1: expected a space and a number behind the exemplar's labels: \"a 1 # {b=\\\"c\\\"}\"".into(),
        ),
        ("a 1 # {b=\"c\"} x\n# EOF\n", "line 1: expected a number: \"a 1 # {b=\\\"c\\\"} x\"".into()),
        ("a 1 # {b=\"c\"} 1 NaN\n# EOF\n", "line 1: a time that is no number: \"a 1 # {b=\\\"c\\\"} 1 NaN\"".into()),
        ("a 1 # {b=\"c\"} 1 2 3\n# EOF\n", "line 1: expected the line's end: \"a 1 # {b=\\\"c\\\"} 1 2 3\"".into()),
    ] {
        assert_eq!(flaw(page, Format::OpenMetrics), what, "{page:?}");
    }
}

#[test]
fn an_exemplar_over_the_bound_is_left_out_and_its_sample_taken() {
    let page = |len: usize| format!("a 1 # {{b=\"{}\",c=\"\"}} 2\n", "é".repeat(len));
    assert!(open(&page(126))[0].contains("# b="));
    assert_eq!(open(&page(127)), ["Value a (a Untyped: ) 1.0"]);
    assert_eq!(open("a 1 # {b=\"c\",b=\"d\"} 2\n"), ["Value a (a Untyped: ) 1.0"]);
    let many: String = (0..5000).map(|at| format!("l{at}=\"\",")).collect();
    assert_eq!(open(&format!("a 1 # {{{many}}} 2\n")), ["Value a (a Untyped: ) 1.0"]);
}
