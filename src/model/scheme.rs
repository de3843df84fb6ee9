//! The naming schemes: by which names a destination or a page knows what was read.

/// A naming scheme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// metricsd's own names.
    #[default]
    Native,
    /// Those of Prometheus' node_exporter.
    NodeExporter,
    /// Those of OpenTelemetry's semantic conventions.
    Otel,
}

impl Scheme {
    /// All of them, each at the place of [`Scheme::index`].
    pub const ALL: [Scheme; 3] = [Scheme::Native, Scheme::NodeExporter, Scheme::Otel];

    /// How the configuration, a flag and a page's address call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Native => "native",
            Scheme::NodeExporter => "node_exporter",
            Scheme::Otel => "otel",
        }
    }

    /// The scheme of that name.
    pub fn parse(name: &str) -> Option<Scheme> {
        Scheme::ALL.into_iter().find(|scheme| scheme.as_str() == name)
    }

    /// Its place in [`Scheme::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}
