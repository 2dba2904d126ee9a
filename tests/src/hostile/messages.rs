//! What comes over the wire, before anything is computed.

use super::runs::tiny_runs;
use lagrange_core::schedule::Round;
use lagrange_protocol::{
    Assembler, Expected, FrameError, Framed, Job, ReplyHeader, RunSpec, WorkHeader, check_hello,
    check_ready, sizes_of, v1,
};
use prost::Message;

/// A message of any kind: decoded, converted, checked, and for what is sound there and back again.
pub fn message(bytes: &[u8]) {
    if let Some(worker) = decoded::<v1::WorkerMessage>(bytes) {
        from_worker(worker);
    }
    if let Some(coordinator) = decoded::<v1::CoordinatorMessage>(bytes) {
        from_coordinator(coordinator);
    }
    spec(&String::from_utf8_lossy(bytes));
    decoded(bytes).into_iter().for_each(work);
    decoded(bytes).into_iter().for_each(reply);
    frames(bytes);
}

fn decoded<M: Message + Default>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let encoded = message.encode_to_vec();
    let again = M::decode(encoded.as_slice()).expect("what was encoded");
    assert_eq!(again.encode_to_vec(), encoded);
    Some(message)
}

fn expected() -> Expected {
    Expected {
        dataset_sha256: [7; 32],
        architecture: "12x12x1 - conv3 2".to_owned(),
        spec_sha256: [8; 32],
    }
}

fn from_worker(message: v1::WorkerMessage) {
    use v1::worker_message::Kind;
    match message.kind {
        Some(Kind::Hello(hello)) => drop(check_hello(&hello, &expected())),
        Some(Kind::Ready(ready)) => drop(check_ready(&ready, &expected())),
        Some(Kind::Reply(header)) => reply(header),
        _ => {}
    }
}

fn from_coordinator(message: v1::CoordinatorMessage) {
    use v1::coordinator_message::Kind;
    match message.kind {
        Some(Kind::Welcome(welcome)) => spec(&welcome.spec),
        Some(Kind::Work(header)) => work(header),
        _ => {}
    }
}

fn spec(text: &str) {
    let Ok(spec) = RunSpec::from_text(text) else {
        return;
    };
    let again = RunSpec::from_text(&spec.to_text());
    assert_eq!(again.as_ref(), Ok(&spec));
    let network = spec.network();
    assert!(!network.describe().is_empty());
    let round = Round {
        step: 0,
        stage: 0,
        gram: true,
    };
    let schedule = spec.schedule(&network);
    for job in [
        Job::InitialCentroids { stage: 0 },
        Job::Cluster { stage: 0 },
        Job::Moments { stage: 0 },
        Job::Round(round),
    ] {
        let _ = sizes_of(job, &spec, &network, &*schedule);
    }
}

fn work(wire: v1::Work) {
    let Ok(header) = WorkHeader::try_from(wire) else {
        return;
    };
    let again = WorkHeader::try_from(v1::Work::from(header.clone()));
    assert_eq!(again.as_ref(), Ok(&header));
    for run in tiny_runs() {
        let spec = run.spec();
        let network = spec.network();
        let schedule = spec.schedule(&network);
        if let Ok(sizes) = sizes_of(header.job, spec, &network, &*schedule) {
            let expected = sizes.work_values(header.shards.len().min(spec.shards()));
            begin(header.clone(), expected);
        }
    }
}

fn reply(wire: v1::Reply) {
    let Ok(header) = ReplyHeader::try_from(wire) else {
        return;
    };
    let bytes = v1::Reply::from(header.clone()).encode_to_vec();
    let again = v1::Reply::decode(&*bytes).map(ReplyHeader::try_from);
    let again = again.expect("a message").expect("a reply");
    assert_eq!(v1::Reply::from(again).encode_to_vec(), bytes);
    begin(header, 5);
}

/// What is not of the size expected is refused before there is room for it.
fn begin<H: Framed>(header: H, expected: usize) {
    let announced = header.payload_floats();
    let begun = Assembler::default().begin(header, expected);
    assert_eq!(announced == expected as u64, begun.is_ok());
}

/// Length-delimited chunks, one after the other, into a payload of their own making.
fn frames(mut bytes: &[u8]) {
    let mut assembler = Assembler::default();
    let header = ReplyHeader {
        run: String::new(),
        round: 0,
        attempt: 0,
        nodes: Vec::new(),
        shards: Vec::new(),
        payload_floats: 4,
        records: Vec::new(),
    };
    assembler.begin(header, 4).expect("four values");
    while let Ok(mut chunk) = v1::Chunk::decode_length_delimited(&mut bytes) {
        let checked = chunk.data.len() % 3 > 0;
        if checked {
            chunk.crc32 = crc32fast::hash(&chunk.data);
        }
        match assembler.chunk(&chunk) {
            Ok(Some((_, values))) => assert_eq!(values.len(), 4),
            Ok(None) => {}
            Err(error) => return assert!(!(checked && matches!(error, FrameError::Checksum(_)))),
        }
    }
}
