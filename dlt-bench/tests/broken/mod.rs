//! Small rings to be swept: a sound one, and broken copies of it.

pub(crate) mod ring;
mod subject;

pub(crate) use subject::Broken;
