//! The few BLAS calls `ndarray` has no safe name for.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

unsafe extern "C" {
    fn openblas_set_num_threads(threads: c_int);
    fn openblas_get_corename() -> *const c_char;
    fn blas_memory_alloc(unused: c_int) -> *mut c_void;
    fn blas_memory_free(buffer: *mut c_void);
}

/// Bytes of the work buffer that OpenBLAS maps for a thread, on the processors where it takes most.
const BUFFER_BYTES: usize = 128 << 20;

/// Work buffers that the system has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{threads} threads of computation need {} MB of address space, more than there is: raise the limit (`ulimit -v`, or \
     the container's memory), or lower --threads",
    bytes.div_ceil(1_000_000)
)]
pub struct NoRoom {
    /// Threads that were to get one each.
    pub threads: usize,
    /// Bytes of address space that they and everything else were to take.
    pub bytes: usize,
}

/// Has OpenBLAS map the work buffers of `threads` threads, which it keeps and uses again.
///
/// Where address space is limited, OpenBLAS would look for a buffer in an endless loop, in the middle of a product; so
/// there must be room for all of them before it is asked for the first, and for `beside` bytes that others are going to
/// map. Call it once, before any mathematics.
///
/// # Errors
/// [`NoRoom`] if the system does not give that much address space.
pub fn reserve_buffers(threads: usize, beside: usize) -> Result<(), NoRoom> {
    let bytes = threads.saturating_mul(BUFFER_BYTES).saturating_add(beside);
    // Mapped and given back without being touched: it takes no memory. The compiler must not do without.
    let mut room = Vec::<u8>::new();
    let refused = room.try_reserve_exact(bytes);
    refused.map_err(|_| NoRoom { threads, bytes })?;
    drop(std::hint::black_box(room));
    // SAFETY: OpenBLAS hands out buffers that are in nobody else's use, and each goes back exactly once. A null pointer
    // (it has no more than twice as many buffers as it was built for threads) must not go back.
    unsafe {
        let buffers: Vec<_> = (0..threads).map(|_| blas_memory_alloc(0)).collect();
        for buffer in buffers.into_iter().filter(|buffer| !buffer.is_null()) {
            blas_memory_free(buffer);
        }
    }
    Ok(())
}

/// Makes every BLAS call of this process run on the calling thread alone.
///
/// Parallelism is over shards; a BLAS that also starts threads would oversubscribe the machine, and its results
/// would depend on their number. Call it once, before any mathematics.
pub fn use_one_thread() {
    // SAFETY: OpenBLAS allows this call at any time; it takes the thread count by value.
    unsafe { openblas_set_num_threads(1) }
}

/// The name of the kernels that OpenBLAS chose for this processor when it was loaded, for example `Haswell`.
#[must_use]
pub fn kernels() -> String {
    // SAFETY: OpenBLAS returns a pointer to a static, NUL-terminated string.
    let name = unsafe { CStr::from_ptr(openblas_get_corename()) };
    name.to_string_lossy().into_owned()
}

/// The environment variable by which OpenBLAS is told, before it is loaded, which kernels to use.
pub const KERNELS_VARIABLE: &str = "OPENBLAS_CORETYPE";

/// The kernels to ask OpenBLAS for, by [`KERNELS_VARIABLE`]: those that every x86-64 with AVX2 and FMA can run.
///
/// Left to itself it chooses by processor, and other kernels add in another order: two machines, or a machine and a virtual one on
/// it, would then end the same run with other bits. It also falls back to kernels some five times slower on processors newer than
/// itself. `None` where these are chosen already, and on processors that cannot run them.
#[must_use]
pub fn portable_kernels() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        const PORTABLE: &str = "Haswell";
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && !kernels().eq_ignore_ascii_case(PORTABLE)
        {
            return Some(PORTABLE);
        }
    }
    None
}

/// Lower triangle of `gram = rows' rows` (SYRK): half the work of a product.
///
/// `rows` is `[n, d]`, `gram` `[d, d]`, both contiguous; the strict upper triangle of `gram` is left as it was.
///
/// # Panics
/// If the shapes do not match or a matrix is not contiguous and row-major.
pub fn gram_lower(rows: ArrayView2<'_, f32>, gram: &mut ArrayViewMut2<'_, f32>) {
    syrk(rows, 0.0, gram);
}

/// As [`gram_lower`], added to what `gram` holds.
///
/// # Panics
/// As [`gram_lower`].
pub fn add_gram_lower(rows: ArrayView2<'_, f32>, gram: &mut ArrayViewMut2<'_, f32>) {
    syrk(rows, 1.0, gram);
}

fn syrk(rows: ArrayView2<'_, f32>, kept: f32, gram: &mut ArrayViewMut2<'_, f32>) {
    let (n, d) = rows.dim();
    assert_eq!(gram.dim(), (d, d), "Gram matrix of {d} unknowns");
    let rows = contiguous(&rows);
    let gram = gram
        .as_slice_mut()
        .unwrap_or_else(|| unreachable!("contiguous Gram"));
    // SAFETY: `rows` holds n x d and `gram` d x d values, row-major with leading dimension d (asserted above);
    // both slices outlive the call and the exclusive borrow of `gram` rules out overlap.
    unsafe {
        cblas_sys::cblas_ssyrk(
            cblas_sys::CBLAS_LAYOUT::CblasRowMajor,
            cblas_sys::CBLAS_UPLO::CblasLower,
            cblas_sys::CBLAS_TRANSPOSE::CblasTrans,
            int(d),
            int(n),
            1.0,
            rows.as_ptr(),
            int(d),
            kept,
            gram.as_mut_ptr(),
            int(d),
        );
    }
}

/// G W for a symmetric G `[d, d]`, of which only the lower triangle is read, and W `[d, C]` (SYMM).
///
/// # Panics
/// If the shapes do not match or G is not contiguous and row-major.
#[must_use]
pub fn symmetric_product(gram: ArrayView2<'_, f32>, weights: ArrayView2<'_, f32>) -> Array2<f32> {
    let (d, columns) = weights.dim();
    assert_eq!(gram.dim(), (d, d), "Gram matrix of {d} unknowns");
    let weights = weights.as_standard_layout();
    let mut product = Array2::zeros((d, columns));
    // SAFETY: all three are row-major with the shapes asserted or made above, and `product` is exclusively borrowed.
    unsafe {
        cblas_sys::cblas_ssymm(
            cblas_sys::CBLAS_LAYOUT::CblasRowMajor,
            cblas_sys::CBLAS_SIDE::CblasLeft,
            cblas_sys::CBLAS_UPLO::CblasLower,
            int(d),
            int(columns),
            1.0,
            contiguous(&gram).as_ptr(),
            int(d),
            weights.as_ptr(),
            int(columns),
            0.0,
            product.as_mut_ptr(),
            int(columns),
        );
    }
    product
}

/// Solves L X = B, or L'X = B if `transposed`, in place of B `[d, C]`: L is the lower triangle of `lower`, `[d, d]` (TRSM).
///
/// # Panics
/// If the shapes do not match or a matrix is not contiguous and row-major.
pub fn solve_lower(
    lower: ArrayView2<'_, f32>,
    transposed: bool,
    right: &mut ArrayViewMut2<'_, f32>,
) {
    let (d, columns) = right.dim();
    assert_eq!(lower.dim(), (d, d), "triangle of {d} unknowns");
    assert!(right.is_standard_layout(), "contiguous right-hand side");
    // SAFETY: both are row-major with the shapes asserted, and `right` is exclusively borrowed.
    unsafe {
        cblas_sys::cblas_strsm(
            cblas_sys::CBLAS_LAYOUT::CblasRowMajor,
            cblas_sys::CBLAS_SIDE::CblasLeft,
            cblas_sys::CBLAS_UPLO::CblasLower,
            if transposed {
                cblas_sys::CBLAS_TRANSPOSE::CblasTrans
            } else {
                cblas_sys::CBLAS_TRANSPOSE::CblasNoTrans
            },
            cblas_sys::CBLAS_DIAG::CblasNonUnit,
            int(d),
            int(columns),
            1.0,
            contiguous(&lower).as_ptr(),
            int(d),
            right.as_mut_ptr(),
            int(columns),
        );
    }
}

fn contiguous<'a>(matrix: &'a ArrayView2<'_, f32>) -> &'a [f32] {
    matrix
        .as_slice()
        .unwrap_or_else(|| panic!("a contiguous matrix"))
}

fn int(value: usize) -> c_int {
    c_int::try_from(value)
        .unwrap_or_else(|_| panic!("dimension {value} exceeds what BLAS can address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gram_is_the_lower_triangle_of_the_product() {
        let rows = Array2::from_shape_fn((7, 5), |(i, j)| (i * 5 + j) as f32 % 7.0 - 3.0);
        let product = rows.t().dot(&rows);
        let mut gram = Array2::from_elem((5, 5), f32::NAN);
        gram_lower(rows.view(), &mut gram.view_mut());
        for i in 0..5 {
            for j in 0..=i {
                assert_eq!(gram[[i, j]], product[[i, j]]);
            }
        }
    }
    /// A lower triangle, with values above it that nobody may read.
    fn lower() -> Array2<f32> {
        Array2::from_shape_fn((4, 4), |(i, j)| match i.cmp(&j) {
            std::cmp::Ordering::Less => f32::NAN,
            std::cmp::Ordering::Equal => 4.0,
            std::cmp::Ordering::Greater => (i + 2 * j) as f32 - 2.0,
        })
    }

    #[test]
    fn triangles_stand_for_symmetric_matrices_and_systems() {
        let lower = lower();
        let w = Array2::from_shape_fn((4, 3), |(i, j)| i as f32 - 2.0 * j as f32);
        let full = Array2::from_shape_fn((4, 4), |(i, j)| lower[[i.max(j), i.min(j)]]);
        assert_eq!(symmetric_product(lower.view(), w.view()), full.dot(&w));
        let triangle =
            Array2::from_shape_fn((4, 4), |(i, j)| if i >= j { lower[[i, j]] } else { 0.0 });
        for (transposed, system) in [(false, triangle.clone()), (true, triangle.t().to_owned())] {
            let mut solved = system.dot(&w);
            solve_lower(lower.view(), transposed, &mut solved.view_mut());
            assert!(solved.iter().zip(&w).all(|(x, y)| (x - y).abs() < 1e-5));
        }
    }
}
