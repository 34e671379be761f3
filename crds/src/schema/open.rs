//! Enums that are closed when written and open when read: an object of a newer release must not stop a watch.

/// Defines an enum whose unknown names survive reading, and its schema, which lists the known ones.
macro_rules! open_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $word:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$doc])* $word,)+
            /// Something this release does not know.
            #[serde(untagged)]
            Unknown(String),
        }

        impl $name {
            /// Every known name.
            pub const NAMES: &[&str] = &[$(stringify!($word)),+];
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::choice(Self::NAMES)
            }
        }
    };
}

pub(crate) use open_enum;
