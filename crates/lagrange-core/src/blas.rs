//! OpenBLAS calls that `ndarray` does not wrap: set-up of the library, and products of symmetric and
//! triangular matrices.
//!
//! A *core* is OpenBLAS's name for its set of kernels for one type of processor.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

unsafe extern "C" {
    fn openblas_set_num_threads(threads: c_int);
    fn openblas_get_corename() -> *const c_char;
    fn openblas_get_parallel() -> c_int;
    fn blas_memory_alloc(unused: c_int) -> *mut c_void;
    fn blas_memory_free(buffer: *mut c_void);
}

/// Bytes of the work buffer that OpenBLAS maps per thread: the largest over all types of processors.
const BUFFER_BYTES: usize = 128 << 20;

/// Error: no address space for OpenBLAS's work buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} MB of address space, more than there is: raise the limit (`ulimit -v`, or the container's memory){}",
    needed(*threads, *bytes),
    if *threads > 1 { ", or lower --threads" } else { "" }
)]
pub struct NoRoom {
    /// Threads, with one buffer each.
    pub threads: usize,
    /// Address space asked for, in bytes: the buffers, and what other components will map.
    pub bytes: usize,
}

/// Who needs so many bytes, and how many million they are.
fn needed(threads: usize, bytes: usize) -> String {
    let millions = bytes.div_ceil(1_000_000);
    match threads {
        0 => format!("the data need {millions}"),
        1 => format!("computing needs {millions}"),
        _ => format!("{threads} threads of computation need {millions}"),
    }
}

/// Makes OpenBLAS map the work buffers of `threads` threads, which it keeps and reuses.
///
/// With too little address space OpenBLAS searches for a buffer in an endless loop, in the middle of a
/// product. This function therefore checks first that all buffers fit, together with `beside` bytes that
/// other components will map. Call it once, before any mathematics.
///
/// # Errors
/// [`NoRoom`] if the system does not give that much address space.
pub fn reserve_buffers(threads: usize, beside: usize) -> Result<(), NoRoom> {
    let bytes = threads.saturating_mul(BUFFER_BYTES).saturating_add(beside);
    // Mapped and unmapped without being touched, so no memory is used; `black_box` keeps the allocation.
    let mut room = Vec::<u8>::new();
    let refused = room.try_reserve_exact(bytes);
    refused.map_err(|_| NoRoom { threads, bytes })?;
    drop(std::hint::black_box(room));
    // SAFETY: OpenBLAS hands out buffers that are in nobody else's use, and each goes back exactly once. A
    // null pointer (it has no more than twice as many buffers as it was built for threads) must not go back.
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
/// Parallelism is over shards; a BLAS that also starts threads would oversubscribe the machine, and its
/// results would depend on their number. Call it once, before any mathematics.
pub fn use_one_thread() {
    // SAFETY: OpenBLAS allows this call at any time; it takes the thread count by value.
    unsafe { openblas_set_num_threads(1) }
}

/// Whether several threads of this process may compute at the same time. Not with an OpenBLAS that is built
/// for one thread: it has no locks, its products share work buffers, and some come out wrong.
#[must_use]
pub fn is_thread_safe() -> bool {
    // SAFETY: OpenBLAS allows this call at any time; it returns 0 for a build without threads.
    unsafe { openblas_get_parallel() != 0 }
}

/// Name of the OpenBLAS core in use, for example `Haswell`.
#[must_use]
pub fn core_name() -> String {
    // SAFETY: OpenBLAS returns a pointer to a static, NUL-terminated string.
    let name = unsafe { CStr::from_ptr(openblas_get_corename()) };
    name.to_string_lossy().into_owned()
}

/// Environment variable that selects the OpenBLAS core; read when the library is loaded.
pub const CORE_VARIABLE: &str = "OPENBLAS_CORETYPE";

/// The core to request from OpenBLAS by [`CORE_VARIABLE`]: `Haswell`, which every x86-64 processor with AVX2
/// and FMA can run. `None` if that core is in use already, and on processors that cannot run it.
///
/// By default OpenBLAS selects its core by processor, and different cores add in different orders: two
/// machines, or a machine and a virtual machine on it, would end the same run with different bits. On
/// processors newer than itself it also falls back to a core some five times slower.
#[must_use]
pub fn portable_core() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        const PORTABLE: &str = "Haswell";
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && !core_name().eq_ignore_ascii_case(PORTABLE)
        {
            return Some(PORTABLE);
        }
    }
    None
}

/// Switches OpenBLAS to [`portable_core`], unless [`CORE_VARIABLE`] is set or this build of OpenBLAS has a
/// single core. Call it once, before any mathematics, while no other thread uses BLAS or changes the
/// environment.
pub fn use_portable_core() {
    let chosen = std::env::var_os(CORE_VARIABLE).is_some_and(|name| !name.is_empty());
    let Some(core) = portable_core().filter(|_| !chosen) else {
        return;
    };
    let (Some(forget), Some(choose)) = (
        function(c"gotoblas_dynamic_quit"),
        function(c"gotoblas_dynamic_init"),
    ) else {
        return;
    };
    // SAFETY: both functions take no arguments. Between the two calls OpenBLAS has no kernels, but no other
    // thread uses BLAS or the environment, as documented.
    unsafe {
        std::env::set_var(CORE_VARIABLE, core);
        forget();
        choose();
    }
}

/// An OpenBLAS function without arguments, by its symbol; `None` in builds with a single core.
fn function(name: &CStr) -> Option<unsafe extern "C" fn()> {
    // SAFETY: the name is NUL-terminated, and what the two symbols asked for name are functions of this type.
    unsafe {
        let address = libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr());
        std::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn()>>(address)
    }
}

/// Lower triangle of `gram = rows' rows` (SYRK): half the work of a product.
///
/// `rows` is `[n, d]`, `gram` `[d, d]`, both contiguous; the strict upper triangle of `gram` is left as it
/// was.
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
pub(crate) fn add_gram_lower(rows: ArrayView2<'_, f32>, gram: &mut ArrayViewMut2<'_, f32>) {
    syrk(rows, 1.0, gram);
}

fn syrk(rows: ArrayView2<'_, f32>, kept: f32, gram: &mut ArrayViewMut2<'_, f32>) {
    let (n, d) = rows.dim();
    assert_eq!(gram.dim(), (d, d), "Gram matrix of {d} unknowns");
    let rows = contiguous(&rows);
    let gram = gram
        .as_slice_mut()
        .unwrap_or_else(|| unreachable!("contiguous Gram"));
    // SAFETY: `rows` holds n x d and `gram` d x d values, row-major with leading dimension d (asserted
    // above); both slices outlive the call and the exclusive borrow of `gram` rules out overlap.
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
pub(crate) fn symmetric_product(
    gram: ArrayView2<'_, f32>,
    weights: ArrayView2<'_, f32>,
) -> Array2<f32> {
    let (d, columns) = weights.dim();
    assert_eq!(gram.dim(), (d, d), "Gram matrix of {d} unknowns");
    let weights = weights.as_standard_layout();
    let mut product = Array2::zeros((d, columns));
    // SAFETY: all three are row-major with the shapes asserted or made above, and `product` is exclusively
    // borrowed.
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

/// Solves L X = B, or L'X = B if `transposed`, in place of B `[d, C]`: L is the lower triangle of `lower`,
/// `[d, d]` (TRSM).
///
/// # Panics
/// If the shapes do not match or a matrix is not contiguous and row-major.
pub(crate) fn solve_lower(
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

    /// Several threads share one library: a build of OpenBLAS without locks fails this within a few hundred
    /// products.
    #[test]
    fn products_of_threads_at_once_are_those_of_one() {
        use_one_thread();
        let pattern = |(i, j): (usize, usize)| (i * 37 + j * 53) as f32 % 101.0 / 50.0 - 1.0;
        let a = Array2::from_shape_fn((64, 400), pattern);
        let b = Array2::from_shape_fn((400, 16), pattern);
        let product = a.dot(&b);
        let many = || (0..5_000).all(|_| a.dot(&b) == product);
        let right: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(many)).collect();
            let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            ended.map(|result| result.expect("no panic")).collect()
        });
        assert_eq!(
            right,
            [true; 6],
            "OpenBLAS is thread-safe: {}",
            is_thread_safe()
        );
    }

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
    /// A lower triangle; NaN above it would show in a result that reads it.
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
