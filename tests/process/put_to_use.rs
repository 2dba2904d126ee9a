//! Ordinary mishaps of commands that use what training has made: readers that leave, lists with faults, places
//! that are no files, slow clients, other data.

use crate::binary::process::{signal, wait_until};
use crate::binary::{failure, json, lagrange, path, text};
use crate::serve::Server;
use crate::take_away::trained;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A pipe whose reader has gone.
fn without_reader() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    writer.into()
}

fn output(arguments: &[&str]) -> Output {
    lagrange(arguments).output().expect("runs")
}

#[test]
fn predictions_that_nobody_reads_are_not_made() {
    let folder = trained();
    let run = folder.path().join("run");
    let picture = folder.path().join("pictures/test/red/1.png");
    let mut command = lagrange(&["predict", path(&run), "-"]);
    command.stdin(Stdio::piped()).stdout(without_reader());
    let mut child = command.spawn().expect("runs");
    let mut list = child.stdin.take().expect("piped");
    // It ends although the list does not.
    let begin = Instant::now();
    while writeln!(list, "{}", picture.display()).is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it reads on");
    }
    assert_eq!(child.wait().expect("ends").code(), Some(0));
}

#[test]
fn a_list_of_pictures_is_answered_as_it_comes_and_its_faults_cost_nothing_else() {
    let folder = trained();
    let run = folder.path().join("run");
    let pictures = folder.path().join("pictures/test/red");
    let odd = pictures.join(OsStr::from_bytes(b"r\xe9.png"));
    fs::copy(pictures.join("1.png"), &odd).expect("copied");
    let mut command = lagrange(&["predict", path(&run), "-", "--format", "json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("runs");
    let mut list = child.stdin.take().expect("piped");
    let mut said = child.stdout.take().expect("piped");
    let mut told = Vec::new();
    let mut line = odd.as_os_str().as_bytes().to_vec();
    line.extend(b"\r\n");
    list.write_all(&line).expect("written");
    // An answer, while the list is not at its end.
    while !told.ends_with(b"}") {
        let mut byte = [0];
        said.read_exact(&mut byte).expect("an answer");
        told.push(byte[0]);
    }
    for name in ["nowhere.png", "2.png"] {
        writeln!(list, "{}", pictures.join(name).display()).expect("written");
    }
    drop(list);
    said.read_to_end(&mut told).expect("the rest");
    let output = child.wait_with_output().expect("ends");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("nowhere.png: there is no such"), "{stderr}");
    let said: serde_json::Value = serde_json::from_slice(&told).expect("an array");
    assert_eq!(
        (&said[0]["label"], &said[1]["label"]),
        (&"red".into(), &"red".into())
    );
}

/// The command, as a line of a shell.
fn in_shell(script: &str, arguments: &[&Path]) -> Output {
    let mut shell = Command::new("bash");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_lagrange")]);
    shell.args(arguments).output().expect("runs")
}

#[test]
fn pipes_are_read_and_written_like_files_and_stay_what_they_are() {
    let folder = trained();
    let run = folder.path().join("run");
    let picture = folder.path().join("pictures/test/red/1.png");
    let said = in_shell("\"$0\" predict \"$1\" <(cat \"$2\")", &[&run, &picture]);
    assert!(text(&said.stdout).contains(",red,"), "{said:?}");
    let file = folder.path().join("model.npz");
    let to_file = output(&["export", path(&run), "--out", path(&file)]);
    assert!(to_file.status.success());
    let pipe = folder.path().join("pipe.npz");
    let script = "mkfifo \"$2\"; cat \"$2\" & \"$0\" export \"$1\" --out \"$2\" >&2; wait";
    let to_pipe = in_shell(script, &[&run, &pipe]);
    assert_eq!(to_pipe.stdout, fs::read(&file).expect("written"));
    let kind = pipe.metadata().expect("there").file_type();
    assert!(!kind.is_file(), "a pipe still");
    let script = "\"$0\" report \"$1\" --out /dev/stdout | head -c 15";
    let page = in_shell(script, &[&run]);
    assert_eq!(text(&page.stdout).to_lowercase(), "<!doctype html>");
}

#[test]
fn commands_that_use_a_model_name_a_full_disk_and_leave_nothing_half_written() {
    let folder = trained();
    let (run, pictures) = (folder.path().join("run"), folder.path().join("pictures"));
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("made");
    let [onnx, html, packed] = ["m.onnx", "r.html", "packed"].map(|name| out.join(name));
    for arguments in [
        ["export", path(&run), "--out", path(&onnx)],
        ["report", path(&run), "--out", path(&html)],
    ] {
        let limited = small_files(&lagrange(&arguments));
        let stderr = text(&limited.stderr);
        assert_eq!(limited.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("cannot be written"), "{stderr}");
    }
    let mut import = lagrange(&["data", "import", path(&pictures), "--out"]);
    let limited = small_files(import.arg(&packed));
    let stderr = text(&limited.stderr);
    assert_eq!(limited.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot be written"), "{stderr}");
    let left: Vec<_> = names_in(&out)
        .into_iter()
        .chain(names_in(&packed))
        .collect();
    assert_eq!(left, ["packed", ".lock"]);
}

/// The command, with room for files of no more than 512 bytes.
fn small_files(command: &Command) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 1; exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.output().expect("runs")
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("read")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn an_import_is_alone_in_its_folder_and_clears_what_one_before_it_left() {
    let folder = trained();
    let (pictures, packed) = (folder.path().join("pictures"), folder.path().join("packed"));
    let import = || output(&["data", "import", path(&pictures), "--out", path(&packed)]);
    fs::create_dir(&packed).expect("made");
    for left in [
        "train-00007.block",
        "test-00000.block.part",
        "names.txt.part",
        "other.part",
    ] {
        fs::write(packed.join(left), "left").expect("written");
    }
    let lock = fs::File::create(packed.join(".lock")).expect("made");
    lock.lock().expect("locked");
    let busy = import();
    assert_eq!(busy.status.code(), Some(1));
    let stderr = text(&busy.stderr);
    assert!(stderr.contains("another lagrange process"), "{stderr}");
    drop(lock);
    let done = import();
    assert!(done.status.success(), "{}", text(&done.stderr));
    let names = names_in(&packed);
    assert_eq!(
        names,
        [
            ".lock",
            "manifest.toml",
            "names.txt",
            "other.part",
            "test-00000.block",
            "train-00000.block"
        ]
    );
    let again = import();
    assert!(text(&again.stderr).contains("a packed set already"));
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    let told = failure(
        &["data", "import", path(&pictures), "--out", path(&file)],
        1,
    );
    assert!(told.contains("that is no folder"), "{told}");
}

#[test]
fn a_model_is_not_overwritten_by_its_own_export() {
    let folder = trained();
    let run = folder.path().join("run");
    let model = run.join("model.safetensors");
    let before = fs::read(&model).expect("read");
    let link = folder.path().join("link.npz");
    std::os::unix::fs::symlink(&model, &link).expect("made");
    for (out, format) in [(&run, "torch"), (&model, "npz"), (&link, "npz")] {
        let told = failure(
            &["export", path(&run), "--out", path(out), "--format", format],
            1,
        );
        assert!(told.contains("the model itself is there"), "{told}");
    }
    assert_eq!(fs::read(&model).expect("read"), before);
}

#[test]
fn figures_of_other_data_than_the_runs_are_not_taken_for_the_runs_own() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    let (run, data) = (at("run"), at("data"));
    fs::create_dir(&data).expect("made");
    // A part of MNIST has its shape and classes, and is another set.
    let mut part = lagrange_data::Dataset::embedded().expect("embedded");
    for (set, count) in [(&mut part.train, 320), (&mut part.test, 60)] {
        set.labels.truncate(count);
        set.images.pixels.truncate(count * 28 * 28);
    }
    lagrange_tests::write_idx(&part, &data);
    let mut train = vec!["train", "--json", "--in-process", "--data", path(&data)];
    train.extend(["--epochs", "0.5", "--set", "schedule.batch=64"]);
    let _ = json(&[&train[..], &["--run-dir", path(&run)]].concat());
    for command in ["evaluate", "report"] {
        let own = output(&[command, path(&run), "--data", path(&data)]);
        assert_eq!(text(&own.stderr), "", "{command}");
        let other = output(&[command, path(&run)]);
        assert!(other.status.success(), "{}", text(&other.stderr));
        let stderr = text(&other.stderr);
        assert!(stderr.contains("not the data of the run"), "{stderr}");
        assert!(
            stderr.contains("pass") && stderr.contains("--data"),
            "{stderr}"
        );
    }
    let page = fs::read_to_string(run.join("report.html")).expect("written");
    assert!(!page.contains("Confusion"));
}

#[test]
fn runs_are_listed_as_what_they_are_however_damaged() {
    let folder = tempfile::tempdir().expect("folder");
    let add = |name: &str, config: &str, result: &[u8]| {
        let run = folder.path().join(name);
        fs::create_dir(&run).expect("made");
        fs::write(run.join("config.toml"), config).expect("written");
        fs::write(run.join("metrics.jsonl"), "").expect("written");
        fs::write(run.join("result.json"), result).expect("written");
    };
    let result = |interrupted: bool| {
        format!("{{\"interrupted\":{interrupted},\"epochs\":4,\"weights_sha256\":\"éééééé\"}}")
    };
    let four = "[schedule]\nepochs = 4.0";
    add("cut-off", four, b"{\"interr");
    add("not-utf8", four, b"{\"\xff\": 1}");
    add("whole", four, result(false).as_bytes());
    add("stopped", four, result(true).as_bytes());
    add("longer", "[schedule]\nepochs = 8", result(false).as_bytes());
    let output = output(&["runs", path(folder.path())]);
    let table = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (name, state) in [
        ("cut-off", "damaged"),
        ("not-utf8", "damaged"),
        ("whole", "complete"),
        ("stopped", "interrupted"),
        ("longer", "not complete"),
    ] {
        let line = table.lines().find(|line| line.contains(name));
        let line = line.expect("listed");
        assert!(line.contains(&format!("  {state} ")), "{line}");
    }
}

/// Reads what a connection says until it is closed, and how long that took.
fn until_closed(stream: &mut TcpStream) -> (String, Duration) {
    let begin = Instant::now();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("set");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("closed in time");
    (text(&said), begin.elapsed())
}

/// A connection to a server on which `head` has been said.
fn said_to(server: &Server, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).expect("connects");
    stream.write_all(head.as_bytes()).expect("written");
    stream
}

#[test]
fn slow_clients_are_let_go_and_keep_nobody_from_an_answer_or_the_server_from_its_end() {
    let folder = trained();
    let server = Server::start(folder.path(), &["--patience", "1", "--requests", "1"]);
    let connect = |head: &str| said_to(&server, head);
    let picture = fs::read(folder.path().join("pictures/test/red/1.png")).expect("read");
    let body = "POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n";
    let mut slow = connect(&format!("{body}abc"));
    wait_until("the only place to be taken", || {
        server.ask("POST /predict", "", &picture).0 == 503
    });
    let (said, _) = until_closed(&mut slow);
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.contains("within 1 s"), "{said}");
    assert_eq!(server.ask("POST /predict", "", &picture).0, 200);
    // Nothing, a part of a head, and nothing any more.
    for head in ["", "POST /pre", "GET /v2 HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let (_, took) = until_closed(&mut connect(head));
        assert!(took < Duration::from_secs(20), "{head}: {took:?}");
    }
    let patient = Server::start(folder.path(), &["--patience", "600"]);
    let _waiting = ["", "POST /pre", body].map(|head| said_to(&patient, head));
    drop(server);
    let mut server = patient;
    signal(server.child.id(), "TERM");
    let begin = Instant::now();
    assert_eq!(server.child.wait().expect("ends").code(), Some(0));
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn clients_of_http_1_are_answered_over_tls_and_who_is_refused_is_logged() {
    let folder = trained();
    let certs = crate::binary::coordinator::certificates(folder.path(), "tls");
    let server = Server::start(folder.path(), &["--tls", path(&certs)]);
    let mut client = tls_client(&certs);
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = "localhost".try_into().expect("a name");
    let client = rustls::ClientConnection::new(Arc::new(client), name).expect("sound");
    let stream = TcpStream::connect(&server.address).expect("connects");
    let mut stream = rustls::StreamOwned::new(client, stream);
    let request = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("written");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        text(&answer).starts_with("HTTP/1.1 200 "),
        "{}",
        text(&answer)
    );
    // In plain text, twice.
    for _ in 0..2 {
        server.ask("GET /v2", "", b"");
    }
    let said = server.stop();
    assert_eq!(said.matches("use https").count(), 1, "{said}");
}

/// A client with the worker's certificate.
fn tls_client(folder: &Path) -> rustls::ClientConfig {
    use lagrange_protocol::certificates::{authority, certificates, client_config, private_key};
    let file = |name: &str| fs::read(folder.join(name)).expect("read");
    let chain = certificates(&file("worker.pem")).expect("certificates");
    let key = private_key(&file("worker.key")).expect("a key");
    let trusted = certificates(&file("ca.pem")).and_then(authority);
    client_config(chain, key, trusted.expect("an authority")).expect("sound")
}
