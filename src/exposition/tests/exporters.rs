//! Pages in the forms of real exporters.
