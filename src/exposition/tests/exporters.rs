//! Pages in the forms of real exporters: what is read of them, and what becomes of them when they
//! are cut.

use super::{Format, Page, open, read_into, text};

/// The form of node_exporter, which is that of Go's client: sorted, floats in their shortest form.
const NODE: &str = r#"# HELP go_gc_duration_seconds A summary of the pause duration of garbage collection cycles.
# TYPE go_gc_duration_seconds summary
go_gc_duration_seconds{quantile="0"} 2.1863e-05
go_gc_duration_seconds{quantile="1"} 0.000114261
go_gc_duration_seconds_sum 0.002066513
go_gc_duration_seconds_count 57
# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 174261.86
node_cpu_seconds_total{cpu="0",mode="user"} 8.09e+06
# HELP node_filesystem_avail_bytes Filesystem space available to non-root users in bytes.
# TYPE node_filesystem_avail_bytes gauge
node_filesystem_avail_bytes{device="C:\\data \"x\"",fstype="ext4",mountpoint="/mnt/größe"} 5.0431422464e+10
"#;

/// The form of Java's client for text: a comma behind the last label, times, `NaN`.
const JAVA: &str = r#"# HELP jvm_memory_bytes_used Used bytes of a given JVM memory area.
# TYPE jvm_memory_bytes_used gauge
jvm_memory_bytes_used{area="heap",} 1.2345678E7
jvm_memory_bytes_used{area="nonheap",} NaN 1700000000000
# TYPE requests_latency_seconds histogram
requests_latency_seconds_bucket{le="0.005",} 3.0
requests_latency_seconds_bucket{le="+Inf",} 5.0
requests_latency_seconds_count 5.0
requests_latency_seconds_sum 1.25
"#;

/// The form of Python's client for OpenMetrics.
const PYTHON: &str = r#"# HELP python_info Python platform information
# TYPE python_info gauge
python_info{implementation="CPython",major="3"} 1.0
# HELP jobs Jobs that were done
# TYPE jobs counter
jobs_total{queue="mail"} 17.0 # {trace_id="4bf92f35"} 1.0 1700000000.123
jobs_created{queue="mail"} 1.70000000012345e+09
# HELP took_seconds Time of a job
# TYPE took_seconds histogram
# UNIT took_seconds seconds
took_seconds_bucket{le="0.1"} 2.0
took_seconds_bucket{le="+Inf"} 3.0
took_seconds_count 3.0
took_seconds_sum 0.75
"#;

#[test]
fn each_is_read_as_it_is_meant() {
    let node = text(NODE);
    assert_eq!(node.len(), 7);
    let pauses = "A summary of the pause duration of garbage collection cycles.";
    assert_eq!(
        node[1],
        format!(
            "Quantile go_gc_duration_seconds quantile=\"1\" (go_gc_duration_seconds Summary: {pauses}) 0.000114261"
        )
    );
    assert!(node[6].starts_with(
        r#"Value node_filesystem_avail_bytes device="C:\\data \"x\"" fstype="ext4" mountpoint="/mnt/größe" "#
    ));
    assert!(node[6].ends_with(" 50431422464.0"));
    let java = text(JAVA);
    assert_eq!(
        java[1],
        "Value jvm_memory_bytes_used area=\"nonheap\" (jvm_memory_bytes_used Gauge: Used bytes of a given JVM memory area.) NaN @1700000000000"
    );
    assert_eq!(
        java[3],
        "Bucket requests_latency_seconds_bucket le=\"+Inf\" (requests_latency_seconds Histogram: ) 5.0"
    );
    let python = open(PYTHON);
    assert_eq!(
        python[1],
        "Value jobs_total queue=\"mail\" (jobs Counter: Jobs that were done) 17.0 # trace_id=\"4bf92f35\" 1.0 Some(1700000000123)"
    );
    assert_eq!(python[6], "Sum took_seconds_sum (took_seconds Histogram, seconds: Time of a job) 0.75");
}

#[test]
fn each_may_be_cut_at_any_byte() {
    let python = format!("{PYTHON}# EOF\n");
    for (whole, format) in [(NODE, Format::Text), (JAVA, Format::Text), (&python, Format::OpenMetrics)] {
        let mut page = Page::new();
        let (all, _) = read_into(&mut page, whole.as_bytes(), format).unwrap();
        for at in 0..whole.len() {
            let cut = &whole.as_bytes()[..at];
            match (read_into(&mut page, cut, format), read_into(&mut Page::new(), cut, format)) {
                (Ok((compared, _)), Ok((full, _))) => assert_eq!(compared, full, "{at}"),
                (Err(compared), Err(full)) => assert_eq!(compared, full, "{at}"),
                (compared, full) => panic!("{at}: compared: {compared:?}, in full: {full:?}"),
            }
            page.check();
            let (again, _) = read_into(&mut page, whole.as_bytes(), format).unwrap();
            assert_eq!(again, all, "{at}");
        }
    }
}
