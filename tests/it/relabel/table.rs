//! What Prometheus' relabelling does, worked out from its documentation: a rule as it is written
//! in JSON, a series, and what the rule leaves of it. `make e2e` asks real ones.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>;
//! expressions: <https://github.com/google/re2/wiki/Syntax>; groups: <https://pkg.go.dev/regexp#Regexp.Expand>.

/// A rule, a series, and what is left of it.
pub type Row = (&'static str, &'static str, Option<&'static str>);

/// What every Prometheus does. No two rows leave the same series.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    // replace: its defaults put nothing together, and so set nothing.
    (r#"{"target_label": "b"}"#, r#"r1{a="x"}"#, Some(r#"r1{a="x"}"#)),
    (r#"{"target_label": "a"}"#, r#"r2{a="x"}"#, Some("r2")),
    (r#"{"source_labels": ["a"], "target_label": "b"}"#, r#"r3{a="x"}"#, Some(r#"r3{a="x",b="x"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "b"}"#, r#"r4{a="x",b="y"}"#, Some(r#"r4{a="x",b="x"}"#)),
    (r#"{"source_labels": ["no"], "target_label": "b"}"#, r#"r5{a="x",b="y"}"#, Some(r#"r5{a="x"}"#)),
    (r#"{"action": "Replace", "source_labels": ["a"], "target_label": "b", "replacement": "is $1"}"#, r#"r6{a="x"}"#, Some(r#"r6{a="x",b="is x"}"#)),
    // Separators.
    (r#"{"source_labels": ["a", "b"], "target_label": "c"}"#, r#"s1{a="x",b="y"}"#, Some(r#"s1{a="x",b="y",c="x;y"}"#)),
    (r#"{"source_labels": ["b", "no", "a", "a"], "target_label": "c"}"#, r#"s2{a="x",b="y"}"#, Some(r#"s2{a="x",b="y",c="y;;x;x"}"#)),
    (r#"{"source_labels": ["a", "b"], "separator": "", "target_label": "c"}"#, r#"s3{a="x",b="y"}"#, Some(r#"s3{a="x",b="y",c="xy"}"#)),
    (r#"{"source_labels": ["a", "b"], "separator": " - ", "target_label": "c"}"#, r#"s4{a="x",b="y"}"#, Some(r#"s4{a="x",b="y",c="x - y"}"#)),
    (r#"{"source_labels": ["no", "none"], "separator": "", "target_label": "a"}"#, r#"s5{a="x"}"#, Some("s5")),
    (r#"{"source_labels": ["a", "b"], "regex": "(.+);(.+)", "target_label": "c", "replacement": "$2;$1"}"#, r#"s6{a="x;y",b="z"}"#, Some(r#"s6{a="x;y",b="z",c="z;x;y"}"#)),
    // Empty results take the label away.
    (r#"{"target_label": "a", "replacement": ""}"#, r#"e1{a="x",b="y"}"#, Some(r#"e1{b="y"}"#)),
    (r#"{"source_labels": ["b"], "target_label": "a", "replacement": "$2"}"#, r#"e2{a="x",b="y"}"#, Some(r#"e2{b="y"}"#)),
    (r#"{"source_labels": ["b"], "regex": "(y)(z)?", "target_label": "a", "replacement": "$2"}"#, r#"e3{a="x",b="y"}"#, Some(r#"e3{b="y"}"#)),
    (r#"{"source_labels": ["b"], "regex": "z", "target_label": "a", "replacement": ""}"#, r#"e4{a="x",b="y"}"#, Some(r#"e4{a="x",b="y"}"#)),
    (r#"{"target_label": "a", "replacement": "constant"}"#, r#"e5{a="x"}"#, Some(r#"e5{a="constant"}"#)),
    (r#"{"regex": "x", "target_label": "a", "replacement": "constant"}"#, r#"e6{a="x"}"#, Some(r#"e6{a="x"}"#)),
    (r#"{"regex": "", "target_label": "a", "replacement": "constant"}"#, r#"e7{a="x"}"#, Some(r#"e7{a="constant"}"#)),
    // Expressions are for the whole.
    (r#"{"source_labels": ["a"], "regex": "x", "target_label": "a", "replacement": "z"}"#, r#"w1{a="xx"}"#, Some(r#"w1{a="xx"}"#)),
    (r#"{"source_labels": ["a"], "regex": "x|y", "target_label": "a", "replacement": "z"}"#, r#"w2{a="xy"}"#, Some(r#"w2{a="xy"}"#)),
    (r#"{"source_labels": ["a"], "regex": "x|y", "target_label": "a", "replacement": "z"}"#, r#"w3{a="y"}"#, Some(r#"w3{a="z"}"#)),
    (r#"{"source_labels": ["a"], "regex": "^x$", "target_label": "a", "replacement": "z"}"#, r#"w4{a="x"}"#, Some(r#"w4{a="z"}"#)),
    (r#"{"source_labels": ["a"], "regex": "x.*", "target_label": "a", "replacement": "z"}"#, r#"w5{a="yx"}"#, Some(r#"w5{a="yx"}"#)),
    (r#"{"source_labels": ["a"], "regex": "x.*|", "target_label": "b", "replacement": "z"}"#, r#"w6{c="1"}"#, Some(r#"w6{b="z",c="1"}"#)),
    // Groups.
    (r#"{"source_labels": ["a"], "regex": "(.)(.)", "target_label": "b", "replacement": "$2$1$0"}"#, r#"g1{a="xy"}"#, Some(r#"g1{a="xy",b="yxxy"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "b", "replacement": "${1}b"}"#, r#"g2{a="x"}"#, Some(r#"g2{a="x",b="xb"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "b", "replacement": "$1b"}"#, r#"g3{a="x",b="y"}"#, Some(r#"g3{a="x"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "b", "replacement": "$1-b"}"#, r#"g4{a="x"}"#, Some(r#"g4{a="x",b="x-b"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "b", "replacement": "$$1"}"#, r#"g5{a="x"}"#, Some(r#"g5{a="x",b="$1"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "b", "replacement": "$$$1$"}"#, r#"g6{a="x"}"#, Some(r#"g6{a="x",b="$x$"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "b", "replacement": "$${1"}"#, r#"g7{a="x"}"#, Some(r#"g7{a="x",b="${1"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "b", "replacement": "$-$${}$ "}"#, r#"g8{a="x"}"#, Some(r#"g8{a="x",b="$-${}$ "}"#)),
    (r#"{"source_labels": ["a"], "target_label": "b", "replacement": "<$9$01>"}"#, r#"g9{a="x"}"#, Some(r#"g9{a="x",b="<>"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)", "target_label": "b", "replacement": "$10|${1}0"}"#, r#"g10{a="0123456789"}"#, Some(r#"g10{a="0123456789",b="9|00"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(?P<first>[a-z]+)-(?P<n_2>\\d+)", "target_label": "b", "replacement": "$n_2.$first.$2$firsts"}"#, r#"g11{a="eth-4"}"#, Some(r#"g11{a="eth-4",b="4.eth.4"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(?:x)(y)", "target_label": "b", "replacement": "$1$2"}"#, r#"g12{a="xy"}"#, Some(r#"g12{a="xy",b="y"}"#)),
    (r#"{"source_labels": ["a"], "regex": "x", "target_label": "b", "replacement": "<$1>"}"#, r#"g13{a="x"}"#, Some(r#"g13{a="x",b="<>"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "b", "replacement": "$1é"}"#, r#"g14{a="x",b="y"}"#, Some(r#"g14{a="x"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(x)|(y)", "target_label": "b", "replacement": "1$1-2$2"}"#, r#"g15{a="y"}"#, Some(r#"g15{a="y",b="1-2y"}"#)),
    // Groups in the target.
    (r#"{"source_labels": ["a"], "regex": "(.*)=(.*)", "target_label": "t_$1", "replacement": "$2"}"#, r#"t1{a="k=v"}"#, Some(r#"t1{a="k=v",t_k="v"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "${1}", "replacement": "v"}"#, r#"t2{a="k",k="old"}"#, Some(r#"t2{a="k",k="v"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(?P<key>.*)", "target_label": "x_$key", "replacement": "v"}"#, r#"t3{a="k"}"#, Some(r#"t3{a="k",x_k="v"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "${1}_$1", "replacement": "v"}"#, r#"t4{a="k"}"#, Some(r#"t4{a="k",k_k="v"}"#)),
    // No name is none.
    (r#"{"source_labels": ["a"], "target_label": "$2", "replacement": "v"}"#, r#"t7{a="k"}"#, Some(r#"t7{a="k"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "$1", "replacement": "renamed"}"#, r#"t9{a="__name__"}"#, Some(r#"renamed{a="__name__"}"#)),
    // The name.
    (r#"{"source_labels": ["__name__"], "regex": "(.*)_total", "target_label": "of"}"#, "n1_total", Some(r#"n1_total{of="n1"}"#)),
    (r#"{"source_labels": ["__name__", "a"], "regex": "(.*);(.*)", "target_label": "__name__", "replacement": "${1}_$2"}"#, r#"n2{a="x"}"#, Some(r#"n2_x{a="x"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "__name__"}"#, r#"n3{a="n3:sum"}"#, Some(r#"n3:sum{a="n3:sum"}"#)),
    (r#"{"target_label": "__name__", "replacement": ""}"#, r#"n4{a="x"}"#, None),
    (r#"{"source_labels": ["no"], "target_label": "__name__"}"#, r#"n5{a="x"}"#, None),
    (r#"{"source_labels": ["no"], "regex": "x", "target_label": "__name__"}"#, r#"n6{a="x"}"#, Some(r#"n6{a="x"}"#)),
    // More of expressions.
    (r#"{"source_labels": ["a"], "regex": "(?i)UP-(x)", "target_label": "b"}"#, r#"x1{a="up-X"}"#, Some(r#"x1{a="up-X",b="X"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(.)(.+?)(.)", "target_label": "b", "replacement": "$3$2$1"}"#, r#"x2{a="größe"}"#, Some(r#"x2{a="größe",b="erößg"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(\\w+)\\W(\\d+)\\D", "target_label": "b", "replacement": "$2$1"}"#, r#"x3{a="ab_9é12x"}"#, Some(r#"x3{a="ab_9é12x",b="12ab_9"}"#)),
    (r#"{"source_labels": ["a"], "regex": "\\d", "target_label": "b", "replacement": "v"}"#, r#"x4{a="٣"}"#, Some(r#"x4{a="٣"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(.+?)(x*)", "target_label": "b", "replacement": "$1,$2"}"#, r#"x5{a="axx"}"#, Some(r#"x5{a="axx",b="a,xx"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(a+)(a*)", "target_label": "b", "replacement": "$1,$2"}"#, r#"x6{a="aaa"}"#, Some(r#"x6{a="aaa",b="aaa,"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(a|ab)(c|bcd)?(d*)", "target_label": "b", "replacement": "$1,$2,$3"}"#, r#"x7{a="abcd"}"#, Some(r#"x7{a="abcd",b="a,bcd,"}"#)),
    (r#"{"source_labels": ["a"], "regex": "\\Qa.b\\E(.*)", "target_label": "b"}"#, r#"x8{a="a.bc"}"#, Some(r#"x8{a="a.bc",b="c"}"#)),
    (r#"{"source_labels": ["a"], "regex": "([[:digit:]]{2,3})[^[:alpha:]-]", "target_label": "b"}"#, r#"x9{a="123."}"#, Some(r#"x9{a="123.",b="123"}"#)),
    (r#"{"source_labels": ["a"], "regex": "\\x41\\x{e9}\\.", "target_label": "b", "replacement": "v"}"#, r#"x10{a="Aé."}"#, Some(r#"x10{a="Aé.",b="v"}"#)),
    (r#"{"source_labels": ["a"], "regex": "a{,2}[]&&b]", "target_label": "b", "replacement": "v"}"#, r#"x11{a="a{,2}&"}"#, Some(r#"x11{a="a{,2}&",b="v"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(x*)*(y|)+", "target_label": "b", "replacement": "<$1$2>"}"#, r#"x12{a="xxy"}"#, Some(r#"x12{a="xxy",b="<xxy>"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(?U)(a+)(a*)", "target_label": "b", "replacement": "$1,$2"}"#, r#"x13{a="aaa"}"#, Some(r#"x13{a="aaa",b="a,aa"}"#)),
    (r#"{"source_labels": ["a"], "regex": "\\bab\\b.\\Bc", "target_label": "b", "replacement": "v"}"#, r#"x14{a="ab_c"}"#, Some(r#"x14{a="ab_c"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(a\\t)b(\\101)[\\60-\\62]", "target_label": "b", "replacement": "$2"}"#, "x15{a=\"a\tbA1\"}", Some("x15{a=\"a\tbA1\",b=\"A\"}")),
    // Values of several lines.
    (r#"{"source_labels": ["a"], "regex": "x\\ny", "target_label": "b", "replacement": "v"}"#, r#"m1{a="x\ny"}"#, Some(r#"m1{a="x\ny",b="v"}"#)),
    (r#"{"source_labels": ["a"], "regex": "x[^z]y", "target_label": "b", "replacement": "v"}"#, r#"m2{a="x\ny"}"#, Some(r#"m2{a="x\ny",b="v"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(?s)(.*)", "target_label": "b"}"#, r#"m3{a="x\ny\n"}"#, Some(r#"m3{a="x\ny\n",b="x\ny\n"}"#)),
    (r#"{"source_labels": ["a"], "regex": "x", "target_label": "b", "replacement": "v"}"#, r#"m4{a="x\n"}"#, Some(r#"m4{a="x\n"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(?-s)x.y", "target_label": "b", "replacement": "v"}"#, r#"m5{a="x\ny"}"#, Some(r#"m5{a="x\ny"}"#)),
    (r#"{"source_labels": ["a"], "regex": "x", "target_label": "b", "replacement": "1\n\"2\"\\"}"#, r#"m6{a="x"}"#, Some(r#"m6{a="x",b="1\n\"2\"\\"}"#)),
    (r#"{"source_labels": ["a"], "regex": "(?m)(x$)\\n(^y)", "target_label": "b", "replacement": "$2$1"}"#, r#"m7{a="x\ny"}"#, Some(r#"m7{a="x\ny",b="yx"}"#)),
    // keep and drop.
    (r#"{"action": "keep", "source_labels": ["a"], "regex": "x|y"}"#, r#"k1{a="y"}"#, Some(r#"k1{a="y"}"#)),
    (r#"{"action": "keep", "source_labels": ["a"], "regex": "x|y"}"#, r#"k2{a="xy"}"#, None),
    (r#"{"action": "keep", "source_labels": ["no"], "regex": ""}"#, r#"k3{a="x"}"#, Some(r#"k3{a="x"}"#)),
    (r#"{"action": "keep", "source_labels": ["no"], "regex": ".+"}"#, r#"k4{a="x"}"#, None),
    (r#"{"action": "keep", "source_labels": ["no"]}"#, r#"k5{a="x"}"#, Some(r#"k5{a="x"}"#)),
    (r#"{"action": "keep", "regex": "x"}"#, r#"k6{a="x"}"#, None),
    (r#"{"action": "KEEP", "source_labels": ["__name__", "a"], "regex": "k[67];x"}"#, r#"k7{a="x"}"#, Some(r#"k7{a="x"}"#)),
    (r#"{"action": "keep", "source_labels": ["a"], "separator": "!", "regex": "x", "target_label": "a", "replacement": "z", "modulus": 3}"#, r#"k8{a="x"}"#, Some(r#"k8{a="x"}"#)),
    (r#"{"action": "drop", "source_labels": ["a"], "regex": "x.*"}"#, r#"d1{a="xy"}"#, None),
    (r#"{"action": "drop", "source_labels": ["a"], "regex": "x.*"}"#, r#"d2{a="yx"}"#, Some(r#"d2{a="yx"}"#)),
    (r#"{"action": "drop"}"#, r#"d3{a="x"}"#, None),
    (r#"{"action": "drop", "source_labels": ["a", "b"], "separator": "/", "regex": "x/y"}"#, r#"d4{a="x",b="y"}"#, None),
    (r#"{"action": "drop", "source_labels": ["__name__"], "regex": "d5"}"#, r#"d5_total{a="x"}"#, Some(r#"d5_total{a="x"}"#)),
    // keepequal and dropequal.
    (r#"{"action": "keepequal", "source_labels": ["a"], "target_label": "b"}"#, r#"q1{a="x",b="x"}"#, Some(r#"q1{a="x",b="x"}"#)),
    (r#"{"action": "keepequal", "source_labels": ["a"], "target_label": "b"}"#, r#"q2{a="x",b="xx"}"#, None),
    (r#"{"action": "keepequal", "source_labels": ["a"], "target_label": "b"}"#, r#"q3{c="x"}"#, Some(r#"q3{c="x"}"#)),
    (r#"{"action": "keepequal", "source_labels": ["a", "b"], "target_label": "c"}"#, r#"q4{a="x",b="y",c="x;y"}"#, Some(r#"q4{a="x",b="y",c="x;y"}"#)),
    (r#"{"action": "keepequal", "source_labels": ["a"], "target_label": "__name__"}"#, r#"q5{a="q5"}"#, Some(r#"q5{a="q5"}"#)),
    (r#"{"action": "dropequal", "source_labels": ["a"], "target_label": "b"}"#, r#"q6{a="x",b="x"}"#, None),
    (r#"{"action": "dropequal", "source_labels": ["a"], "target_label": "b"}"#, r#"q7{a="x"}"#, Some(r#"q7{a="x"}"#)),
    (r#"{"action": "dropequal", "source_labels": ["no"], "target_label": "none"}"#, r#"q8{a="x"}"#, None),
    // hashmod: the last eight bytes of MD5, whatever the expression is.
    (r#"{"action": "hashmod", "source_labels": ["a"], "target_label": "h", "modulus": 8}"#, r#"h1{a="x"}"#, Some(r#"h1{a="x",h="6"}"#)),
    (r#"{"action": "hashmod", "source_labels": ["a"], "target_label": "h", "modulus": 1}"#, r#"h2{a="x"}"#, Some(r#"h2{a="x",h="0"}"#)),
    (r#"{"action": "hashmod", "source_labels": ["a"], "target_label": "a", "modulus": 1000}"#, r#"h3{a="10.0.0.1:9100"}"#, Some(r#"h3{a="645"}"#)),
    (r#"{"action": "hashmod", "source_labels": ["a"], "target_label": "h", "modulus": 18446744073709551615}"#, r#"h4{a="größe"}"#, Some(r#"h4{a="größe",h="222654824810388683"}"#)),
    (r#"{"action": "hashmod", "source_labels": ["no"], "target_label": "h", "modulus": 16}"#, r#"h5{a="x"}"#, Some(r#"h5{a="x",h="14"}"#)),
    (r#"{"action": "hashmod", "source_labels": ["a", "b"], "target_label": "h", "modulus": 97}"#, r#"h6{a="x",b="y"}"#, Some(r#"h6{a="x",b="y",h="70"}"#)),
    (r#"{"action": "hashmod", "source_labels": ["a", "b"], "separator": "|", "target_label": "h", "modulus": 97}"#, r#"h7{a="x",b="y"}"#, Some(r#"h7{a="x",b="y",h="56"}"#)),
    (r#"{"action": "hashmod", "source_labels": ["__name__"], "target_label": "h", "modulus": 12, "regex": "never", "replacement": "v"}"#, r#"h06{a="x"}"#, Some(r#"h06{a="x",h="6"}"#)),
    (r#"{"action": "hashmod", "source_labels": ["a"], "target_label": "h", "modulus": 1000003}"#, r#"h8{a="xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#, Some(r#"h8{a="xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",h="245266"}"#)),
    // labelmap: all names are from before; of two that become one the last, by its name, is left.
    (r#"{"action": "labelmap"}"#, r#"l1{a="x"}"#, Some(r#"l1{a="x"}"#)),
    (r#"{"action": "labelmap", "regex": "pod_(.+)"}"#, r#"l2{pod_a="x",pod_b="y",pod_="z",c="w"}"#, Some(r#"l2{a="x",b="y",c="w",pod_="z",pod_a="x",pod_b="y"}"#)),
    (r#"{"action": "labelmap", "regex": "pod_.*", "replacement": "pod"}"#, r#"l3{pod_a="x",pod_b="y",pod="z"}"#, Some(r#"l3{pod="y",pod_a="x",pod_b="y"}"#)),
    (r#"{"action": "labelmap", "regex": "x(.+)", "replacement": "$1"}"#, r#"l4{xxa="1",xa="2",a="3"}"#, Some(r#"l4{a="2",xa="1",xxa="1"}"#)),
    (r#"{"action": "labelmap", "regex": "__(.*)__", "replacement": "old_${1}"}"#, r#"l5{a="x"}"#, Some(r#"l5{a="x",old_name="l5"}"#)),
    (r#"{"action": "labelmap", "regex": "a", "replacement": "__name__"}"#, r#"l6{a="l6_new"}"#, Some(r#"l6_new{a="l6_new"}"#)),
    (r#"{"action": "labelmap", "regex": "(?P<x>[ab])(.)", "replacement": "${2}_$x"}"#, r#"l7{ac="1",bc="2",cc="3"}"#, Some(r#"l7{ac="1",bc="2",c_a="1",c_b="2",cc="3"}"#)),
    (r#"{"action": "labelmap", "regex": "b", "replacement": "a", "source_labels": ["c"], "target_label": "d"}"#, r#"l8{ab="1",ba="2"}"#, Some(r#"l8{ab="1",ba="2"}"#)),
    // labeldrop and labelkeep.
    (r#"{"action": "labeldrop", "regex": "a|c.*"}"#, r#"v1{a="1",aa="2",b="3",cc="4"}"#, Some(r#"v1{aa="2",b="3"}"#)),
    (r#"{"action": "labeldrop", "regex": "__name__"}"#, r#"v2{a="1"}"#, None),
    (r#"{"action": "labeldrop", "regex": "_name_"}"#, r#"v3{a="1"}"#, Some(r#"v3{a="1"}"#)),
    (r#"{"action": "labeldrop"}"#, r#"v4{a="1"}"#, None),
    (r#"{"action": "labelkeep", "regex": "__name__|a"}"#, r#"v5{a="1",aa="2",b="3"}"#, Some(r#"v5{a="1"}"#)),
    (r#"{"action": "labelkeep", "regex": "a"}"#, r#"v6{a="1"}"#, None),
    (r#"{"action": "labelkeep"}"#, r#"v7{a="1",b="2"}"#, Some(r#"v7{a="1",b="2"}"#)),
    // lowercase and uppercase, whatever the expression is: one character for one.
    (r#"{"action": "lowercase", "source_labels": ["a", "b"], "target_label": "c", "regex": "never", "modulus": 3}"#, r#"c1{a="AbC",b="Ä"}"#, Some(r#"c1{a="AbC",b="Ä",c="abc;ä"}"#)),
    (r#"{"action": "uppercase", "source_labels": ["a"], "target_label": "a"}"#, r#"c2{a="aBc-1 größe"}"#, Some(r#"c2{a="ABC-1 GRÖßE"}"#)),
    (r#"{"action": "lowercase", "source_labels": ["no"], "target_label": "a"}"#, r#"c3{a="X"}"#, Some("c3")),
    (r#"{"action": "uppercase", "source_labels": ["__name__"], "target_label": "__name__"}"#, r#"c4{a="x"}"#, Some(r#"C4{a="x"}"#)),
    (r#"{"action": "lowercase", "source_labels": ["a"], "target_label": "a"}"#, r#"c5{a="İIKÅΩẞ ΑΣ ǄǅỲᾼῼ ЉѠ ԱՖ Ა ᎠᏰ ÅＡ 𐐀"}"#, Some(r#"c5{a="iikåωß ασ ǆǆỳᾳῳ љѡ աֆ ა ꭰᏸ åａ 𐐨"}"#)),
    (r#"{"action": "uppercase", "source_labels": ["a"], "target_label": "a"}"#, r#"c6{a="ıiſµÿŉß ας ǆǅỳᾳῳΐᾀᾐᾧ љѡ աֆև ა ꭰᏸ ﬁａ 𐐨 ɐⱥ"}"#, Some(r#"c6{a="IISΜŸŉß ΑΣ ǄǄỲᾼῼΐᾈᾘᾯ ЉѠ ԱՖև Ა ᎠᏰ ﬁＡ 𐐀 ⱯȺ"}"#)),
];

/// What Prometheus 3 does, which is what is meant: before, a dot was no line end, not even by default.
#[rustfmt::skip]
pub const SINCE_3: &[Row] = &[
    (r#"{"source_labels": ["a"], "target_label": "b"}"#, r#"y1{a="x\ny"}"#, Some(r#"y1{a="x\ny",b="x\ny"}"#)),
    (r#"{"source_labels": ["a"], "regex": "x.(y)", "target_label": "b"}"#, r#"y2{a="x\ny"}"#, Some(r#"y2{a="x\ny",b="y"}"#)),
    (r#"{"action": "keep", "source_labels": ["a"], "regex": "x.*"}"#, r#"y3{a="x\ny"}"#, Some(r#"y3{a="x\ny"}"#)),
    (r#"{"action": "drop", "source_labels": ["a"], "regex": ".+"}"#, r#"y4{a="\n"}"#, None),
    (r#"{"action": "drop", "source_labels": ["a"]}"#, r#"y5{a="\n"}"#, None),
    (r#"{"source_labels": ["a"], "regex": "(x).*", "target_label": "$1", "replacement": ""}"#, r#"y6{a="x",x="y"}"#, Some(r#"y6{a="x"}"#)),
];

/// What Prometheus did before: a target whose name is none leaves a series as it is. Now such names
/// are for it, or, where it is told that they are none, spoil the whole scrape.
#[rustfmt::skip]
pub const BEFORE_3: &[Row] = &[
    (r#"{"source_labels": ["a"], "target_label": "$1", "replacement": "v"}"#, r#"t5{a="k-l"}"#, Some(r#"t5{a="k-l"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "$1", "replacement": "v"}"#, r#"t6{a="9k"}"#, Some(r#"t6{a="9k"}"#)),
    (r#"{"source_labels": ["a"], "target_label": "$1", "replacement": "v"}"#, r#"t8{a="é"}"#, Some(r#"t8{a="é"}"#)),
];

/// Rules that are refused.
pub const REFUSED: &[&str] = &[
    r#"{}"#,
    r#"{"source_labels": ["a"]}"#,
    r#"{"action": "nothing", "target_label": "a"}"#,
    r#"{"target_label": "a-b"}"#,
    r#"{"target_label": "1a"}"#,
    r#"{"target_label": "a$"}"#,
    r#"{"target_label": "a$$b"}"#,
    r#"{"target_label": "${1"}"#,
    r#"{"target_label": "a", "regex": "("}"#,
    r#"{"target_label": "a", "regex": "(?=x)"}"#,
    r#"{"target_label": "a", "unknown": 1}"#,
    r#"{"action": "hashmod", "source_labels": ["a"], "target_label": "b"}"#,
    r#"{"action": "hashmod", "source_labels": ["a"], "target_label": "b", "modulus": 0}"#,
    r#"{"action": "hashmod", "source_labels": ["a"], "modulus": 8}"#,
    r#"{"action": "hashmod", "source_labels": ["a"], "target_label": "$1", "modulus": 8}"#,
    r#"{"action": "lowercase", "source_labels": ["a"]}"#,
    r#"{"action": "uppercase", "source_labels": ["a"], "target_label": "a", "replacement": "x"}"#,
    r#"{"action": "lowercase", "source_labels": ["a"], "target_label": "a", "replacement": ""}"#,
    r#"{"action": "labelmap", "regex": "(.*)", "replacement": "a-$1"}"#,
    r#"{"action": "labelmap", "replacement": ""}"#,
    r#"{"action": "labeldrop", "regex": "a", "target_label": "b"}"#,
    r#"{"action": "labeldrop", "regex": "a", "modulus": 1}"#,
    r#"{"action": "labelkeep", "regex": "a", "source_labels": ["b"]}"#,
    r#"{"action": "labelkeep", "regex": "a", "separator": "-"}"#,
    r#"{"action": "keepequal", "source_labels": ["a"]}"#,
    r#"{"action": "keepequal", "source_labels": ["a"], "target_label": "b", "regex": "x"}"#,
    r#"{"action": "dropequal", "source_labels": ["a"], "target_label": "b", "replacement": "x"}"#,
    r#"{"action": "dropequal", "source_labels": ["a"], "target_label": "b", "separator": "-"}"#,
];
