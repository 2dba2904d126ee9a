//! Writers of the set.

use crate::set::{SIDE, both, planes, png};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

pub fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    fs::write(path, bytes).expect("written");
}

pub fn image_folder(folder: &Path) {
    for (split, samples) in both() {
        for (number, sample) in samples.iter().enumerate() {
            let name = format!("{split}/{}/{number}.png", sample.class);
            put(folder, &name, &png(&sample.pixels));
        }
    }
}

pub fn labels_csv(folder: &Path) {
    let mut table = String::from("file_name,label,split\n");
    for (split, samples) in both() {
        for (number, sample) in samples.iter().enumerate() {
            let name = format!("pictures/{split}{number}.png");
            table += &format!("{name},{},{split}\n", sample.class);
            put(folder, &name, &png(&sample.pixels));
        }
    }
    put(folder, "labels.csv", table.as_bytes());
}

pub fn labels_jsonl(folder: &Path) {
    for (split, samples) in both() {
        let mut table = String::new();
        for (number, sample) in samples.iter().enumerate() {
            table += &format!(
                "{{\"file_name\": \"{number}.png\", \"label\": {}}}\n",
                sample.class
            );
            put(
                folder,
                &format!("{split}/{number}.png"),
                &png(&sample.pixels),
            );
        }
        put(folder, &format!("{split}/metadata.jsonl"), table.as_bytes());
    }
}

/// An array in numpy's format.
pub fn array(descr: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let shape: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

pub fn zip(path: &Path, members: &[(String, Vec<u8>)]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    let mut archive = zip::ZipWriter::new(File::create(path).expect("created"));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in members {
        archive
            .start_file(name.as_str(), options)
            .expect("a member");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("finished");
}

/// Bytes with channels last, and labels of 8 bytes.
fn arrays() -> Vec<(String, Vec<u8>)> {
    let arrays = both().map(|(split, samples)| {
        let pixels: Vec<u8> = samples.iter().flat_map(|s| s.pixels.clone()).collect();
        let labels = samples
            .iter()
            .flat_map(|s| i64::from(s.class).to_le_bytes());
        let count = samples.len();
        [
            (
                format!("x_{split}.npy"),
                array("|u1", &[count, SIDE, SIDE, 3], &pixels),
            ),
            (
                format!("y_{split}.npy"),
                array("<i8", &[count], &labels.collect::<Vec<u8>>()),
            ),
        ]
    });
    arrays.into_iter().flatten().collect()
}

pub fn npz(folder: &Path) {
    zip(&folder.join("set.npz"), &arrays());
}

pub fn npy(folder: &Path) {
    for (name, bytes) in arrays() {
        put(folder, &name, &bytes);
    }
}

/// Floats from 0 to 1 with channels first, the high byte first, and labels as text in a column.
pub fn npz_of_floats(folder: &Path) {
    let arrays = both().map(|(split, samples)| {
        let planes = samples.iter().flat_map(|s| planes(&s.pixels));
        let pixels = planes.flat_map(|value| (f32::from(value) / 255.0).to_be_bytes());
        let labels = samples
            .iter()
            .flat_map(|s| (u32::from(s.class) + 48).to_le_bytes());
        let count = samples.len();
        [
            (
                format!("{split}_images.npy"),
                array(">f4", &[count, 3, SIDE, SIDE], &pixels.collect::<Vec<u8>>()),
            ),
            (
                format!("{split}_labels.npy"),
                array("<U1", &[count, 1], &labels.collect::<Vec<u8>>()),
            ),
        ]
    });
    let arrays: Vec<_> = arrays.into_iter().flatten().collect();
    zip(&folder.join("floats.npz"), &arrays);
}

pub fn cifar_binary(folder: &Path) {
    let [(_, train), (_, test)] = both();
    let records = |samples: &[crate::set::Sample]| -> Vec<u8> {
        let record = |s: &crate::set::Sample| [vec![s.class as u8], planes(&s.pixels)].concat();
        samples.iter().flat_map(record).collect()
    };
    put(
        folder,
        "cifar-10-batches-bin/data_batch_1.bin",
        &records(&train[..5]),
    );
    put(
        folder,
        "cifar-10-batches-bin/data_batch_2.bin",
        &records(&train[5..]),
    );
    put(
        folder,
        "cifar-10-batches-bin/test_batch.bin",
        &records(&test),
    );
    put(
        folder,
        "cifar-10-batches-bin/batches.meta.txt",
        b"0\n1\n2\n\n",
    );
}

pub fn pixel_csv(folder: &Path) {
    for (split, samples) in both() {
        let columns: String = (0..SIDE * SIDE * 3).map(|n| format!(",pixel{n}")).collect();
        let mut table = format!("label{columns}\n");
        for sample in &samples {
            let pixels: String = sample
                .pixels
                .iter()
                .map(|value| format!(",{value}"))
                .collect();
            table += &format!("{}{pixels}\n", sample.class);
        }
        put(folder, &format!("some_{split}.csv"), table.as_bytes());
    }
}

pub fn tar(path: &Path, members: &[(String, Vec<u8>)]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    let mut archive = tar::Builder::new(File::create(path).expect("created"));
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive
            .append_data(&mut header, name, bytes.as_slice())
            .expect("written");
    }
    archive.finish().expect("finished");
}

pub fn webdataset(folder: &Path) {
    for (split, samples) in both() {
        let members = samples.iter().enumerate().flat_map(|(number, sample)| {
            [
                (format!("set/{number:04}.png"), png(&sample.pixels)),
                (
                    format!("set/{number:04}.cls"),
                    format!("{}\n", sample.class).into_bytes(),
                ),
                (format!("set/{number:04}.json"), b"{}".to_vec()),
            ]
        });
        let path = folder.join(format!("{split}-000000.tar"));
        tar(&path, &members.collect::<Vec<_>>());
    }
}
