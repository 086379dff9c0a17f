//! Every boundary of the configuration table.

use dlt_logger::config::{Config, ConfigError, DEFAULT_BUFFER_SIZE, OverflowMode, Overrides, Warning};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

fn from(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_vars(vars.iter().map(|&(name, value)| (name, value)))
}

fn swept(vars: &[(&str, &str)], overrides: &Overrides) -> Result<(Config, Vec<Warning>), ConfigError> {
    Config::from_vars_swept(vars.iter().map(|&(name, value)| (name, value)), overrides)
}

/// The error names the variable, the value and what is accepted.
#[track_caller]
fn refused(name: &str, value: &str, accepted: &str) {
    let error = from(&[(name, value)]).expect_err(&format!("{name}={value}"));
    assert!(matches!(error, ConfigError::NotAccepted { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&format!("{name} = `{value}`")), "{text}");
    assert!(text.contains(accepted), "{text}");
}

#[test]
fn defaults_are_those_of_the_table() {
    let expected = Config {
        num_buffers: 4,
        buffer_sizes: vec![2048; 4],
        batch_size: 16,
        overflow_mode: OverflowMode::Overwrite,
        timeout: Duration::from_millis(100),
        memory_limit_bytes: 256 * 1024 * 1024,
    };
    assert_eq!(Config::default(), expected);
    assert_eq!(from(&[]).unwrap(), expected);
    assert_eq!(expected.validate(), Ok(()));
}

#[test]
fn num_buffers() {
    for n in [1, 2, 63, 64] {
        let config = from(&[("DLT_USER_NUM_BUFFERS", &n.to_string())]).unwrap();
        assert_eq!((config.num_buffers, config.buffer_sizes), (n, vec![DEFAULT_BUFFER_SIZE; n]));
    }
    for value in NO_NUMBERS.into_iter().chain(["0", "65"]) {
        refused("DLT_USER_NUM_BUFFERS", value, "1..=64");
    }
}

/// Texts that are no number in any variable.
const NO_NUMBERS: [&str; 10] =
    ["", "abc", "-1", "+4", " 4", "4 ", "4.0", "0x4", "18446744073709551616", "99999999999999999999999"];

#[test]
fn buffer_size() {
    for size in [2, 3, 1_048_575, 1_048_576] {
        let config = from(&[("DLT_USER_BUFFER_SIZE_3", &size.to_string())]).unwrap();
        assert_eq!(config.buffer_sizes, [2048, 2048, 2048, size]);
    }
    for value in NO_NUMBERS.into_iter().chain(["0", "1", "1048577", "2k"]) {
        refused("DLT_USER_BUFFER_SIZE_0", value, "2..=1048576");
    }
    let config = from(&[
        ("DLT_USER_BUFFER_SIZE_10", "10"),
        ("DLT_USER_BUFFER_SIZE_1", "11"),
        ("DLT_USER_NUM_BUFFERS", "11"),
    ])
    .unwrap();
    assert_eq!((config.buffer_sizes[1], config.buffer_sizes[10]), (11, 10));
}

#[test]
fn size_of_a_buffer_that_does_not_exist() {
    for (name, num_buffers, last) in [
        ("DLT_USER_BUFFER_SIZE_4", "4", "0..=3"),
        ("DLT_USER_BUFFER_SIZE_1", "1", "0..=0"),
        ("DLT_USER_BUFFER_SIZE_64", "64", "0..=63"),
        ("DLT_USER_BUFFER_SIZE_", "4", "0..=3"),
        ("DLT_USER_BUFFER_SIZE_x", "4", "0..=3"),
        ("DLT_USER_BUFFER_SIZE_00", "4", "0..=3"),
        ("DLT_USER_BUFFER_SIZE_01", "4", "0..=3"),
        ("DLT_USER_BUFFER_SIZE_-1", "4", "0..=3"),
        ("DLT_USER_BUFFER_SIZE_+1", "4", "0..=3"),
        ("DLT_USER_BUFFER_SIZE_1 ", "4", "0..=3"),
        ("DLT_USER_BUFFER_SIZE_18446744073709551616", "4", "0..=3"),
    ] {
        let error = from(&[(name, "100"), ("DLT_USER_NUM_BUFFERS", num_buffers)]).expect_err(name);
        assert!(matches!(error, ConfigError::NoSuchBuffer { .. }), "{error:?}");
        let text = error.to_string();
        for part in [name, "`100`", last, &format!("with {num_buffers} buffers")] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
    }
}

#[test]
fn batch_size() {
    for size in [1, 2, 1023, 1024] {
        assert_eq!(from(&[("DLT_USER_BATCH_SIZE", &size.to_string())]).unwrap().batch_size, size);
    }
    for value in NO_NUMBERS.into_iter().chain(["0", "1025"]) {
        refused("DLT_USER_BATCH_SIZE", value, "1..=1024");
    }
}

#[test]
fn overflow_mode() {
    for (value, mode, name) in [
        ("0", OverflowMode::Overwrite, "Overwrite"),
        ("1", OverflowMode::DropNewest, "DropNewest"),
        ("2", OverflowMode::BlockWithTimeout, "BlockWithTimeout"),
    ] {
        assert_eq!(from(&[("DLT_USER_OVERFLOW_MODE", value)]).unwrap().overflow_mode, mode);
        assert_eq!((mode.to_string().as_str(), OverflowMode::try_from(mode as u8)), (name, Ok(mode)));
    }
    for value in NO_NUMBERS.into_iter().chain(["3", "7", "256", "Overwrite"]) {
        refused("DLT_USER_OVERFLOW_MODE", value, "0 (Overwrite), 1 (DropNewest) or 2 (BlockWithTimeout)");
    }
    let error = OverflowMode::try_from(3).unwrap_err().to_string();
    assert!(error.contains("`3`") && error.contains("0 (Overwrite)"), "{error}");
}

#[test]
fn timeout() {
    for ms in [1, 2, 59_999, 60_000] {
        let config = from(&[("DLT_USER_TIMEOUT_MS", &ms.to_string())]).unwrap();
        assert_eq!(config.timeout, Duration::from_millis(ms));
    }
    for value in NO_NUMBERS.into_iter().chain(["0", "60001", "100ms"]) {
        refused("DLT_USER_TIMEOUT_MS", value, "1..=60000");
    }
}

#[test]
fn memory_limit() {
    for (value, bytes) in [
        ("1", 1),
        ("4096", 4096),
        ("1k", 1024),
        ("1K", 1024),
        ("256M", 256 << 20),
        ("256m", 256 << 20),
        ("2G", 2 << 30),
        ("2g", 2 << 30),
        ("17179869183G", 17_179_869_183 << 30),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(from(&[("DLT_USER_MEMORY_LIMIT", value)]).unwrap().memory_limit_bytes, bytes, "{value}");
    }
    let more = [
        "0",
        "0M",
        "k",
        "M",
        "1T",
        "1kB",
        "1 k",
        "1kk",
        "17179869184G",
        "17179869185G",
        "18014398509481984k",
    ];
    for value in NO_NUMBERS.into_iter().chain(more) {
        refused("DLT_USER_MEMORY_LIMIT", value, "suffix k, M or G");
    }
}

#[test]
fn other_variables_are_left_alone() {
    let config = from(&[
        ("DLT_USER_BUFFER_MIN", "50000"),
        ("DLT_USER_BUFFER_SIZE", "abc"),
        ("DLT_USER_BATCH_SIZE_1", "abc"),
        ("dlt_user_num_buffers", "abc"),
        ("XDLT_USER_NUM_BUFFERS", "abc"),
        ("DLT_INITIAL_LOG_LEVEL", "APP1:CTX1:6"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(config, Ok(Config::default()));
}

#[test]
fn value_or_name_that_is_no_utf8() {
    let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    for name in
        ["DLT_USER_NUM_BUFFERS", "DLT_USER_BUFFER_SIZE_0", "DLT_USER_OVERFLOW_MODE", "DLT_USER_MEMORY_LIMIT"]
    {
        let error = Config::from_vars([(name, bytes(b"4\xff"))]).expect_err(name).to_string();
        assert!(error.contains(&format!("{name} = `4\\xff`")), "{error}");
    }
    let error = Config::from_vars([(bytes(b"DLT_USER_BUFFER_SIZE_\xff"), "2048")]).unwrap_err();
    assert!(error.to_string().contains(r"DLT_USER_BUFFER_SIZE_\xff = `2048`"), "{error}");
    let stranger = Config::from_vars([(bytes(b"PATH"), bytes(b"\xff")), (bytes(b"\xff"), bytes(b"x"))]);
    assert_eq!(stranger, Ok(Config::default()));
}

#[test]
fn swept_values_win_and_say_so() {
    let vars = [
        ("DLT_USER_NUM_BUFFERS", "4"),
        ("DLT_USER_BUFFER_SIZE_1", "100"),
        ("DLT_USER_BUFFER_SIZE_3", "300"),
        ("DLT_USER_BATCH_SIZE", "8"),
        ("DLT_USER_OVERFLOW_MODE", "1"),
        ("DLT_USER_TIMEOUT_MS", "7"),
    ];
    let nothing = swept(&vars, &Overrides::default()).unwrap();
    assert_eq!(nothing, (from(&vars).unwrap(), vec![]));

    let (config, warnings) =
        swept(&vars, &Overrides { num_buffers: Some(2), ..Overrides::default() }).unwrap();
    assert_eq!((config.num_buffers, config.buffer_sizes), (2, vec![2048, 100]));
    let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "DLT_USER_NUM_BUFFERS = `4` has no effect here: this case sets it to 2",
            "DLT_USER_BUFFER_SIZE_3 = `300` has no effect here: this case has 2 buffer(s)",
        ]
    );

    let all = Overrides {
        num_buffers: Some(8),
        buffer_size: Some(512),
        batch_size: Some(64),
        overflow_mode: Some(OverflowMode::BlockWithTimeout),
    };
    let (config, warnings) = swept(&vars, &all).unwrap();
    assert_eq!(config.buffer_sizes, vec![512; 8]);
    assert_eq!((config.batch_size, config.overflow_mode), (64, OverflowMode::BlockWithTimeout));
    assert_eq!(config.timeout, Duration::from_millis(7), "what is not swept is honoured");
    let overridden: Vec<_> = warnings
        .iter()
        .map(|warning| match warning {
            Warning::Overridden { name, value, used } => (name.as_str(), value.as_str(), used.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        overridden,
        [
            ("DLT_USER_NUM_BUFFERS", "4", "8"),
            ("DLT_USER_BUFFER_SIZE_1", "100", "512"),
            ("DLT_USER_BUFFER_SIZE_3", "300", "512"),
            ("DLT_USER_BATCH_SIZE", "8", "64"),
            ("DLT_USER_OVERFLOW_MODE", "1", "BlockWithTimeout"),
        ]
    );
}

#[test]
fn sweeping_a_value_that_the_environment_has_too_is_no_warning() {
    let vars = [("DLT_USER_BATCH_SIZE", "16"), ("DLT_USER_NUM_BUFFERS", "2")];
    let same = Overrides { batch_size: Some(16), num_buffers: Some(2), ..Overrides::default() };
    assert_eq!(swept(&vars, &same).unwrap().1, []);
}

#[test]
fn sweeping_forgives_no_value_that_is_wrong() {
    let two = Overrides { num_buffers: Some(2), batch_size: Some(4), ..Overrides::default() };
    for (name, value) in [
        ("DLT_USER_NUM_BUFFERS", "0"),
        ("DLT_USER_BATCH_SIZE", "x"),
        ("DLT_USER_BUFFER_SIZE_3", "1"),
        ("DLT_USER_BUFFER_SIZE_x", "16"),
    ] {
        let error = swept(&[(name, value)], &two).expect_err(name).to_string();
        assert!(error.contains(&format!("{name} = `{value}`")), "{error}");
    }
    let error = swept(&[], &Overrides { num_buffers: Some(65), ..Overrides::default() }).unwrap_err();
    assert!(error.to_string().contains("num_buffers = `65`"), "{error}");
}

#[test]
fn environment_of_this_process() {
    // Variables of this process are not changed: tests run in parallel. What is there must be what both say.
    let vars: Vec<_> = std::env::vars_os().collect();
    assert_eq!(Config::from_env(), Config::from_vars(vars));
    let (config, _) = Config::from_env_lenient(Some(3)).unwrap();
    assert_eq!(config.num_buffers, 3);
}

#[test]
fn setters_and_validation() {
    let config = Config::default()
        .with_num_buffers(2)
        .with_buffer_size(1, 64)
        .with_batch_size(1)
        .with_overflow_mode(OverflowMode::DropNewest)
        .with_timeout(Duration::from_secs(1))
        .with_memory_limit_bytes(1 << 20);
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(config.buffer_sizes, [2048, 64]);
    assert_eq!(config.clone().with_all_buffer_sizes(2).buffer_sizes, [2, 2]);

    let us = Duration::from_micros;
    let refused: [(Config, &str); 16] = [
        (config.clone().with_num_buffers(0), "num_buffers = `0`"),
        (config.clone().with_num_buffers(65), "num_buffers = `65`"),
        (config.clone().with_num_buffers(usize::MAX), "num_buffers = `18446744073709551615`"),
        (config.clone().with_num_buffers(1), "buffer_sizes = `[2048, 64]`"),
        (config.clone().with_buffer_size(2, 64), "buffer_sizes = `[2048, 64, 64]`"),
        (config.clone().with_buffer_size(usize::MAX, 64), "buffer_sizes = `[2048, 64, "),
        (config.clone().with_buffer_size(0, 1), "buffer_sizes[0] = `1`"),
        (config.clone().with_buffer_size(1, 1_048_577), "buffer_sizes[1] = `1048577`"),
        (config.clone().with_batch_size(0), "batch_size = `0`"),
        (config.clone().with_batch_size(1025), "batch_size = `1025`"),
        (config.clone().with_timeout(Duration::ZERO), "timeout = `0ns`"),
        (config.clone().with_timeout(us(999)), "timeout = `999µs`"),
        (config.clone().with_timeout(us(60_000_001)), "timeout = `60.000001s`"),
        (config.clone().with_memory_limit_bytes(0), "memory_limit_bytes = `0`"),
        (Config { buffer_sizes: vec![], ..config.clone() }, "buffer_sizes = `[]`"),
        (Config { num_buffers: 3, ..config.clone() }, "buffer_sizes = `[2048, 64]`"),
    ];
    for (config, text) in refused {
        let error = config.validate().expect_err(text).to_string();
        assert!(error.contains(text) && error.contains(" is not accepted: "), "{error} lacks {text}");
    }
    let accepted = [
        config.clone().with_num_buffers(3).with_buffer_size(2, 2),
        config.clone().with_buffer_size(2, 2).with_num_buffers(3),
        config.clone().with_timeout(us(1000)),
        config.clone().with_timeout(us(60_000_000)),
        config.with_memory_limit_bytes(1),
    ];
    for config in accepted {
        assert_eq!(config.validate(), Ok(()), "{config:?}");
    }
}
