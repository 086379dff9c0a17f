//! From a name to a type.

use crate::{Contender, home, libdlt, ours, text};

/// What is done with a contender whose type is known when this is compiled.
pub trait Visit {
    /// What comes out.
    type Output;

    /// Does it.
    fn visit<C: Contender>(self) -> Self::Output;
}

macro_rules! contenders {
    ($($type:ty),+ $(,)?) => {
        /// Names of all contenders, dlt-logger's modes first.
        pub const NAMES: &[&str] = &[$(<$type as Contender>::NAME),+];

        /// Calls `visit` for the contender of this name; `None` if there is none.
        pub fn with<V: Visit>(name: &str, visit: V) -> Option<V::Output> {
            match name {
                $(name if name == <$type as Contender>::NAME => Some(visit.visit::<$type>()),)+
                _ => None,
            }
        }
    };
}

contenders! {
    ours::Overwrite,
    ours::DropNewest,
    ours::Block,
    home::Mutex,
    home::Mpsc,
    home::Array,
    home::Overflowing,
    text::TracingAppender,
    text::SlogAsync,
    text::Ftlog,
    text::FastLog,
    libdlt::Libdlt,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Name;

    impl Visit for Name {
        type Output = &'static str;

        fn visit<C: Contender>(self) -> &'static str {
            C::NAME
        }
    }

    #[test]
    fn a_name_leads_to_its_own_contender() {
        for name in NAMES {
            assert_eq!(with(name, Name), Some(*name));
            assert_eq!(NAMES.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
        assert_eq!(with("mute", Name), None);
    }
}
