//! The sandboxed worker: its function, its confinement from inside, and the distinction of its death from a bad file.
//! This program is its own worker: an argument names the part that it plays.

#[expect(dead_code, reason = "the format tests use all of it")]
#[path = "formats/media.rs"]
mod media;

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use eyeline_core::{ImageErrorCode, PRESETS, Webp};
use eyeline_image::worker::{self, WorkerFailure, WorkerProcess};
use eyeline_image::{Heif, Limits, START_BYTES, make_versions, memory_needed};
use eyeline_sandbox::{Confinement, Enforcement, confine, landlock_of_this_machine};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use libtest_mimic::{Arguments, Trial};

use media::{Item, Media};

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("image-worker") => worker::run(),
        Some("try-everything") => try_everything(),
        Some("hang") => play(|_| {
            loop {
                std::hint::spin_loop();
            }
        }),
        Some("die") => play(|_| std::process::abort()),
        Some("lie") => play(|mut line| line.write_all(b"\x05\0\0\0hello").expect("writes")),
        Some("hoard") => play(hoard),
        Some("without-libde265") => read_without_libde265(),
        _ => run_tests().exit_code(),
    }
}

fn run_tests() -> libtest_mimic::Conclusion {
    let test = |name: &str, run: fn()| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
    };
    let tests = vec![
        test("a_worker_makes_the_same_versions_as_a_call", a_worker_makes_the_same_versions_as_a_call),
        test("a_bad_file_leaves_the_worker_alive", a_bad_file_leaves_the_worker_alive),
        test("a_worker_cannot_open_connect_start_or_hoard", a_worker_cannot_open_connect_start_or_hoard),
        test("what_the_worker_cannot_do_works_outside", what_the_worker_cannot_do_works_outside),
        test(
            "a_worker_that_hangs_is_killed_and_the_file_timed_out",
            a_worker_that_hangs_is_killed_and_the_file_timed_out,
        ),
        test("a_worker_that_dies_is_told_apart_from_a_bad_file", a_worker_that_dies_is_told_apart_from_a_bad_file),
        test("a_worker_that_lies_is_killed", a_worker_that_lies_is_killed),
        test("a_worker_cannot_hoard_in_the_shared_memory", a_worker_cannot_hoard_in_the_shared_memory),
        test("what_a_large_file_took_is_given_back", what_a_large_file_took_is_given_back),
        test("a_worker_ends_when_its_server_does", a_worker_ends_when_its_server_does),
        test("a_worker_has_nothing_of_its_servers_environment", a_worker_has_nothing_of_its_servers_environment),
        test("a_worker_reads_heic_and_avif", a_worker_reads_heic_and_avif),
        test("without_libde265_heic_alone_is_refused", without_libde265_heic_alone_is_refused),
        test("a_warm_worker_stays_small", a_warm_worker_stays_small),
        test("a_worker_takes_no_more_than_was_told_before", a_worker_takes_no_more_than_was_told_before),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests)
}

fn program() -> std::path::PathBuf {
    std::env::current_exe().expect("this program")
}

fn spawn(part: &str) -> WorkerProcess {
    WorkerProcess::spawn(&program(), &[part]).expect("a worker")
}

/// A photo with detail everywhere, and so about as large as a camera's.
fn photo(width: u32, height: u32) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(2_246_822_519)).rotate_left(11) % 48;
        Rgb([(x * 200 / width + noise) as u8, (y * 200 / height + noise) as u8, (100 + noise) as u8])
    });
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 90);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let size = (width as u16, height as u16);
    encoder.encode(picture.as_raw(), size.0, size.1, ColorType::Rgb).expect("encodes");
    file
}

fn gone(worker: &mut WorkerProcess, limits: &Limits) -> ImageErrorCode {
    match worker.make_versions(&photo(64, 64), &PRESETS, limits) {
        Err(WorkerFailure::Gone(error)) => error.code,
        other => panic!("the worker should be gone: {other:?}"),
    }
}

fn a_worker_makes_the_same_versions_as_a_call() {
    let (file, limits) = (photo(1200, 900), Limits::default());
    let mut worker = spawn("image-worker");
    for webp in [Webp::Off, Webp::All, Webp::Off] {
        let made = worker.make_versions(&file, &webp.presets(), &limits).expect("versions");
        assert_eq!(made, make_versions(&file, &webp.presets(), &limits, &Heif::load()).expect("versions"));
    }
}

fn a_bad_file_leaves_the_worker_alive() {
    let (file, limits) = (photo(300, 200), Limits::default());
    let mut worker = spawn("image-worker");
    for (bad, kind) in [
        (&file[..file.len() / 2], ImageErrorCode::Truncated),
        (b"", ImageErrorCode::Truncated),
        (b"Dear customer,", ImageErrorCode::NotAnImage),
    ] {
        let expected = make_versions(bad, &PRESETS, &limits, &Heif::load()).expect_err("a bad file");
        assert_eq!(expected.code, kind);
        assert_eq!(worker.make_versions(bad, &PRESETS, &limits), Err(WorkerFailure::Refused(expected)));
        worker.make_versions(&file, &PRESETS, &limits).expect("the worker goes on");
    }
}

/// An attempt of a hijacked decoder.
type Attempt = (&'static str, fn() -> io::Result<()>);

const ATTEMPTS: [Attempt; 10] = [
    ("open a file", || File::open("/etc/passwd").map(drop)),
    ("create a file", || {
        let path = std::env::temp_dir().join(format!("eyeline-attempt-{}", std::process::id()));
        File::create(&path)?;
        std::fs::remove_file(path)
    }),
    ("list a folder", || std::fs::read_dir("/").map(drop)),
    ("listen", || TcpListener::bind("127.0.0.1:0").map(drop)),
    ("send a datagram", || UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("open a local socket", || UnixDatagram::unbound().map(drop)),
    ("fork and execute a program", || Command::new("/bin/true").status().map(drop)),
    ("write to the log", || io::stderr().write_all(b"a line in the log\n")),
    ("start a thread", || std::thread::Builder::new().spawn(|| ()).map(drop)),
    ("allocate 2 GiB", || {
        let mut hoard: Vec<u8> = Vec::new();
        hoard.try_reserve_exact(2 << 30).map_err(io::Error::other)
    }),
];

fn a_worker_cannot_open_connect_start_or_hoard() {
    let output = Command::new(program()).arg("try-everything").output().expect("runs");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "a worker managed to:\n{report}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(report.lines().count(), ATTEMPTS.len(), "every attempt was made:\n{report}");
    // The kernel of a build machine has seccomp; an old one may lack a part of Landlock, or all of it.
    let expected = Confinement { landlock: landlock_of_this_machine(), seccomp: Enforcement::Full };
    assert_eq!(spawn("image-worker").confinement(), expected);
}

fn try_everything() -> ExitCode {
    if let Err(error) = confine(&worker::bounds()) {
        eprintln!("cannot confine: {error}");
        return ExitCode::FAILURE;
    }
    let mut managed = false;
    for (what, attempt) in ATTEMPTS {
        let outcome = attempt();
        managed |= outcome.is_ok();
        let line = match outcome {
            Ok(()) => format!("{what}: done\n"),
            Err(error) => format!("{what}: {error}\n"),
        };
        io::stdout().write_all(line.as_bytes()).expect("standard output stays open");
    }
    if managed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Otherwise the test above would also pass on a machine where these always fail.
fn what_the_worker_cannot_do_works_outside() {
    for (what, attempt) in ATTEMPTS {
        attempt().unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

/// Behaves like a worker up to its first request, and then as requested.
fn play(then: fn(&File)) -> ExitCode {
    let line = File::from(io::stdin().as_fd().try_clone_to_owned().expect("a line"));
    say(&line, br#"{"confinement":{"landlock":"none","seccomp":"none"},"heif":{"version":null,"trouble":null,"heic":false,"avif":false}}"#);
    (&line).read_exact(&mut [0; 4]).expect("a request");
    then(&line);
    ExitCode::SUCCESS
}

fn say(mut line: &File, message: &[u8]) {
    let length = u32::try_from(message.len()).expect("short").to_le_bytes();
    line.write_all(&[length.as_slice(), message].concat()).expect("says it");
}

/// Answers with a file error if it could fill the memory, so that the server can tell.
fn hoard(line: &File) {
    let memory = File::from(io::stdout().as_fd().try_clone_to_owned().expect("memory"));
    confine(&worker::bounds()).expect("confines");
    if memory.write_at(&[1], 1 << 30).is_ok() {
        say(line, br#"{"Refused":{"code":"unsupported","sentence":"The memory is full."}}"#);
    }
}

fn a_worker_that_hangs_is_killed_and_the_file_timed_out() {
    let limits = Limits { max_seconds: 1, ..Limits::default() };
    let mut worker = spawn("hang");
    let start = Instant::now();
    assert_eq!(gone(&mut worker, &limits), ImageErrorCode::TimedOut);
    assert!(start.elapsed() < Duration::from_secs(5), "killed after {:?}", start.elapsed());
    assert!(!is_alive(worker.id()), "the process is gone");
}

fn a_worker_that_dies_is_told_apart_from_a_bad_file() {
    let mut worker = spawn("die");
    assert_eq!(gone(&mut worker, &Limits::default()), ImageErrorCode::DecoderCrashed);
    // It stays gone until the server replaces it.
    assert_eq!(gone(&mut worker, &Limits::default()), ImageErrorCode::DecoderCrashed);
}

fn a_worker_that_lies_is_killed() {
    let mut worker = spawn("lie");
    assert_eq!(gone(&mut worker, &Limits::default()), ImageErrorCode::DecoderCrashed);
    assert!(!is_alive(worker.id()), "the process is gone");
}

fn a_worker_cannot_hoard_in_the_shared_memory() {
    let mut worker = spawn("hoard");
    assert_eq!(gone(&mut worker, &Limits::default()), ImageErrorCode::DecoderCrashed);
}

fn what_a_large_file_took_is_given_back() {
    let mut worker = spawn("image-worker");
    let memory = format!("/proc/{}/fd/1", worker.id());
    let shared = || std::fs::metadata(&memory).expect("readable").len();
    // Bytes after the picture do not belong to it.
    let file = [photo(300, 200), vec![0; 20 << 20]].concat();
    worker.make_versions(&file, &PRESETS, &Limits::default()).expect("versions");
    assert!(shared() <= 8 << 20, "{} MiB are kept", shared() >> 20);
}

fn a_worker_ends_when_its_server_does() {
    let (mut line, line_of_worker) = UnixStream::pair().expect("a line");
    let memory = tempfile::tempfile().expect("a file");
    memory.set_len(8 << 20).expect("grows");
    let mut child = Command::new(program())
        .arg("image-worker")
        .stdin(OwnedFd::from(line_of_worker))
        .stdout(memory)
        .spawn()
        .expect("a worker");
    let mut length = [0; 4];
    line.read_exact(&mut length).expect("it is ready");
    line.read_exact(&mut vec![0; u32::from_le_bytes(length) as usize]).expect("its first words");
    drop(line);
    assert!(child.wait().expect("ends").success());
}

fn a_worker_has_nothing_of_its_servers_environment() {
    let worker = spawn("image-worker");
    let environment = std::fs::read(format!("/proc/{}/environ", worker.id())).expect("readable");
    let environment = String::from_utf8_lossy(&environment);
    let names = environment.split('\0').filter_map(|variable| Some(variable.split_once('=')?.0));
    let of_the_allocator = ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"];
    assert!(names.eq(of_the_allocator), "{environment}");
}

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("formats/samples/", $name)).as_slice()
    };
}

/// A picture of one coded part.
fn heif(brand: &[u8; 4], sample: &[u8], size: (u32, u32)) -> Vec<u8> {
    let kind = if brand == b"avif" { b"av01" } else { b"hvc1" };
    Media::of(brand, &[Item::coded(kind, sample, size)]).file()
}

/// A picture of 4000 x 3000 pixels in tiles, with opacity if there is such a sample.
fn tiled(brand: &[u8; 4], sample: &[u8], opacity: Option<&[u8]>) -> Vec<u8> {
    let kind = if brand == b"avif" { b"av01" } else { b"hvc1" };
    let tiles = vec![2; 21 * 24];
    let whole = (4_000, 3_000);
    let mut items = vec![Item::grid((21, 24), whole), Item::coded(kind, sample, (192, 128))];
    let mut references: Vec<(&'static [u8; 4], u16, Vec<u16>)> = vec![(b"dimg", 1, tiles.clone())];
    if let Some(opacity) = opacity {
        items.push(Item::grid((21, 24), whole).with(media::auxiliary(media::OPACITY)));
        items.push(Item::coded(kind, opacity, (192, 128)));
        references.extend([(b"dimg", 3, vec![4; 21 * 24]), (b"auxl", 3, vec![1])] as [(&'static [u8; 4], _, _); 2]);
    }
    Media { references, ..Media::of(brand, &items) }.file()
}

/// Its decoders can start no thread and open no file there.
fn a_worker_reads_heic_and_avif() {
    let limits = Limits { max_seconds: 120, ..Limits::default() };
    let mut worker = spawn("image-worker");
    assert!(worker.heif().heic && worker.heif().avif, "{:?}", worker.heif());
    assert_eq!(worker.heif(), &Heif::load().support());
    for (file, content_type) in [
        (heif(b"heic", sample!("corners.hvc1"), (192, 128)), "image/heic"),
        (heif(b"avif", sample!("corners-10.av01"), (192, 128)), "image/avif"),
        (tiled(b"heic", sample!("corners.hvc1"), None), "image/heic"),
        (sample!("transparent-thumbnail.heic").to_vec(), "image/heic"),
        (sample!("moving.avif").to_vec(), "image/avif"),
    ] {
        let made = worker.make_versions(&file, &PRESETS, &limits).expect("versions");
        assert_eq!(made.content_type, content_type);
        assert_eq!(made, make_versions(&file, &PRESETS, &limits, &Heif::load()).expect("versions"));
    }
}

/// Reports the outcome of a HEIC and an AVIF in a process that does not find libde265.
fn read_without_libde265() -> ExitCode {
    let reader = Heif::load_named("libheif.so.1", "libde265-that-is-not-there.so.0");
    let files =
        [heif(b"heic", sample!("corners.hvc1"), (192, 128)), heif(b"avif", sample!("corners.av01"), (192, 128))];
    for file in files {
        let line = match make_versions(&file, &PRESETS, &Limits::default(), &reader) {
            Ok(made) => format!("{}\n", made.content_type),
            Err(error) => format!("{}: {error}\n", error.code.as_str()),
        };
        io::stdout().write_all(line.as_bytes()).expect("standard output stays open");
    }
    ExitCode::SUCCESS
}

fn without_libde265_heic_alone_is_refused() {
    let output = Command::new(program()).arg("without-libde265").output().expect("runs");
    let report = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = report.lines().collect();
    assert!(lines[0].starts_with("unsupported: ") && lines[0].contains("libde265-0"), "{report}");
    assert_eq!(lines[1..], ["image/avif"]);
}

fn a_warm_worker_stays_small() {
    let (file, limits) = (photo(4032, 3024), Limits::default());
    let mut worker = spawn("image-worker");
    for _ in 0..3 {
        worker.make_versions(&file, &PRESETS, &limits).expect("versions");
    }
    let peak_kib = peak_bytes(&worker) / 1024;
    assert!(peak_kib < 44 * 1024, "{} MiB at the peak", peak_kib / 1024);
    eprintln!("peak of a warm worker over a photo of {} KiB: {} MiB", file.len() / 1024, peak_kib / 1024);
}

fn peak_bytes(worker: &WorkerProcess) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id())).expect("readable");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

fn progressive(width: u16, height: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 90);
    encoder.set_progressive(true);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    let pixels: Vec<u8> = (0..u32::from(width) * u32::from(height) * 3).map(|at| (at % 251) as u8).collect();
    encoder.encode(&pixels, width, height, ColorType::Rgb).expect("encodes");
    file
}

/// Flat, except for a transparent pixel if the form has opacity.
fn flat(form: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = io::Cursor::new(Vec::new());
    form.write_to(&mut file, format).expect("encodes");
    file.into_inner()
}

fn flat_gif(width: u16, height: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = gif::Encoder::new(&mut file, width, height, &[0, 0, 0, 200, 100, 50]).expect("a header");
    let pixels = vec![1; usize::from(width) * usize::from(height)];
    encoder.write_frame(&gif::Frame::from_indexed_pixels(width, height, pixels, None)).expect("a frame");
    drop(encoder);
    file
}

/// Admission relies on this.
fn a_worker_takes_no_more_than_was_told_before() {
    // This test does not measure time.
    let limits = Limits { max_seconds: 120, ..Limits::default() };
    let (width, height) = (4_000, 3_000);
    let grey = {
        let mut file = Vec::new();
        let pixels = vec![90; 12_000_000];
        Encoder::new(&mut file, 90).encode(&pixels, 4_000, 3_000, ColorType::Luma).expect("encodes");
        file
    };
    let files = [
        ("JPEG", photo(width, height)),
        ("a JPEG that is barely scaled", photo(2_600, 2_600)),
        ("grey JPEG", grey),
        ("progressive JPEG", progressive(4_000, 3_000)),
        ("JPEG in the colours of print", {
            let mut file = Vec::new();
            let pixels: Vec<u8> = (0..48_000_000u32).map(|at| (at % 251) as u8).collect();
            Encoder::new(&mut file, 90).encode(&pixels, 4_000, 3_000, ColorType::Cmyk).expect("encodes");
            file
        }),
        ("PNG", flat(DynamicImage::new_rgb8(width, height), ImageFormat::Png)),
        ("transparent PNG", flat(DynamicImage::new_rgba8(width, height), ImageFormat::Png)),
        ("opaque PNG with opacity", {
            let picture = image::RgbaImage::from_pixel(width, height, image::Rgba([9, 9, 9, 255]));
            flat(picture.into(), ImageFormat::Png)
        }),
        ("PNG of 16 bits", flat(DynamicImage::new_rgba16(width, height), ImageFormat::Png)),
        ("grey PNG with opacity", flat(DynamicImage::new_luma_a8(width, height), ImageFormat::Png)),
        ("WebP", flat(DynamicImage::new_rgb8(width, height), ImageFormat::WebP)),
        ("transparent WebP", flat(DynamicImage::new_rgba8(width, height), ImageFormat::WebP)),
        ("GIF", flat_gif(4_000, 3_000)),
        ("HEIC", heif(b"heic", sample!("flat-12-megapixels.hvc1"), (width, height))),
        ("HEIC of ten bits", heif(b"heic", sample!("flat-12-megapixels-10.hvc1"), (width, height))),
        ("HEIC on its side", {
            let item = Item::coded(b"hvc1", sample!("flat-12-megapixels-10.hvc1"), (width, height));
            Media::of(b"heic", &[item.with(media::rotation(1))]).file()
        }),
        ("HEIC of tiles with opacity", tiled(b"heic", sample!("corners.hvc1"), Some(sample!("slope.hvc1")))),
        ("AVIF", heif(b"avif", sample!("flat-12-megapixels.av01"), (width, height))),
        ("AVIF of twelve bits", heif(b"avif", sample!("flat-12-megapixels-12.av01"), (width, height))),
        ("AVIF of tiles with opacity", tiled(b"avif", sample!("corners-12.av01"), Some(sample!("slope.av01")))),
    ];
    for (what, file) in files {
        let mut worker = spawn("image-worker");
        worker.make_versions(&file, &PRESETS, &limits).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let start = &file[..file.len().min(START_BYTES as usize)];
        let bytes = file.len() as u64;
        // The server's copy of the file counts too.
        let told = memory_needed(start, bytes, &limits) - bytes;
        let peak = peak_bytes(&worker);
        eprintln!("{what}: {} MiB at the peak, {} MiB told before", peak >> 20, told >> 20);
        assert!(peak <= told, "{what} of {bytes} bytes: {} MiB at the peak, {} MiB told", peak >> 20, told >> 20);
    }
}

fn is_alive(process: u32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}
