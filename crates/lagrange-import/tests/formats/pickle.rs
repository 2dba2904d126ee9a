//! Pickles as CIFAR-10's, of protocol 2 with numpy's way to rebuild an array.

use crate::files::put;
use crate::set::{Sample, both, planes};
use std::path::Path;

fn short(text: &str) -> Vec<u8> {
    [b"U", [text.len() as u8].as_slice(), text.as_bytes()].concat()
}

/// An array of unsigned bytes.
fn array(rows: usize, data: &[u8]) -> Vec<u8> {
    let mut bytes =
        b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\0\x85U\x01b\x87Rq\x04"
            .to_vec();
    bytes.extend(b"(K\x01M");
    bytes.extend((rows as u16).to_le_bytes());
    bytes.extend(b"M\x00\x0c\x86cnumpy\ndtype\nq\x05U\x02u1K\0K\x01\x87Rq\x06");
    bytes.extend(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes.extend(b"tb");
    bytes
}

pub fn batch(samples: &[Sample]) -> Vec<u8> {
    let planes: Vec<u8> = samples
        .iter()
        .flat_map(|sample| planes(&sample.pixels))
        .collect();
    let labels = samples.iter().flat_map(|sample| [b'K', sample.class as u8]);
    [
        b"\x80\x02}q\x01(".to_vec(),
        short("batch_label"),
        short("batch 1 of 1"),
        short("data"),
        array(samples.len(), &planes),
        short("labels"),
        b"]q\x07(".to_vec(),
        labels.collect(),
        b"e".to_vec(),
        b"u.".to_vec(),
    ]
    .concat()
}

pub fn cifar_pickle(folder: &Path) {
    let [(_, train), (_, test)] = both();
    put(folder, "data_batch_1", &batch(&train[..7]));
    put(folder, "data_batch_2", &batch(&train[7..]));
    put(folder, "test_batch", &batch(&test));
    let names = ["0", "1", "2"].map(short).concat();
    let meta = [
        b"\x80\x02}(".as_slice(),
        &short("label_names"),
        b"](",
        &names,
        b"eu.",
    ]
    .concat();
    put(folder, "batches.meta", &meta);
    put(folder, "readme.html", b"<html>");
}
