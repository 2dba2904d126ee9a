//! Memory layout of one sample, and a buffer for its zero padding.

use crate::network::Stage;

/// Lanes of the sparse products.
pub(super) const LANES: usize = 8;

/// Memory layout of one sample. Counts are in values, except `rows` and `columns`, in output positions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    /// Rows of the kernel.
    pub(super) kernel: usize,
    /// Values of one kernel row: its columns * C_in.
    pub(super) run: usize,
    /// Stride from one input line to the next.
    pub(super) line: usize,
    /// Stride from one patch to the next on a line.
    pub(super) step: usize,
    /// Stride from one line of patches to the next.
    pub(super) down: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) channels: usize,
}

impl Geometry {
    pub(super) fn new(stage: &Stage) -> Self {
        let channels = stage.input.channels;
        let line = (stage.input.width + 2 * stage.pad) * channels;
        Self {
            kernel: stage.kernel.height,
            run: stage.kernel.width * channels,
            line,
            step: stage.stride * channels,
            down: stage.stride * line,
            rows: stage.conv.height,
            columns: stage.conv.width,
            channels: stage.conv.channels,
        }
    }

    /// Values of one kernel row, rounded up to whole vectors.
    pub(super) fn width(&self) -> usize {
        self.run.next_multiple_of(LANES)
    }
}

/// Copy of one sample's padded input, followed by room for vectors that reach beyond the last patch.
#[derive(Debug, Clone)]
pub(super) struct Staging {
    stage: Stage,
    values: Vec<f32>,
}

impl Staging {
    pub(super) fn new(stage: &Stage) -> Self {
        let geometry = Geometry::new(stage);
        let lines = stage.input.height + 2 * stage.pad;
        Self {
            stage: stage.clone(),
            values: vec![0.0; lines * geometry.line + LANES],
        }
    }

    /// `a` surrounded by its padding.
    pub(super) fn copy(&mut self, a: &[f32]) -> &[f32] {
        if self.stage.pad > 0 {
            // An adjoint may have left values in the border.
            self.values.fill(0.0);
        }
        let length = self.stage.input.width * self.stage.input.channels;
        for (line, a) in self.inner().zip(a.chunks_exact(length)) {
            line.copy_from_slice(a);
        }
        &self.values
    }

    /// The buffer set to zero, to accumulate in.
    pub(super) fn zeros(&mut self) -> &mut [f32] {
        self.values.fill(0.0);
        &mut self.values
    }

    /// Copies the part without padding to `a`.
    pub(super) fn extract(&mut self, a: &mut [f32]) {
        let length = self.stage.input.width * self.stage.input.channels;
        for (line, a) in self.inner().zip(a.chunks_exact_mut(length)) {
            a.copy_from_slice(line);
        }
    }

    /// The lines of the input within the padding.
    fn inner(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let Stage { pad, input, .. } = &self.stage;
        let length = input.width * input.channels;
        let (line, side) = (length + 2 * pad * input.channels, pad * input.channels);
        self.values
            .chunks_exact_mut(line)
            .skip(*pad)
            .take(input.height)
            .map(move |line| &mut line[side..][..length])
    }
}
