using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Worker.Model.Numerics;

/// <summary>
/// Rows times a panel of <see cref="Width"/> columns: the one kernel of all products, of weights and in attention. Every result is one chain of fused
/// multiply-adds along the depth, from first to last, in one register lane. It does not depend on how many rows or columns are computed with it, on the
/// width of registers, or on where the depth was cut into calls that accumulate; that is what makes a token's result the same however it is batched.
/// </summary>
/// <remarks>
/// The panel holds, for each step of the depth, the numbers of all columns side by side. Rows come <see cref="Height"/> to a tile, side by side for each
/// step too (the stride); a single row may also lie as it is, with a stride of 1.
/// </remarks>
internal static unsafe class TileKernel
{
    /// <summary>Columns of a panel.</summary>
    public const int Width = 32;

    /// <summary>Rows of a tile.</summary>
    public const int Height = 8;

    /// <param name="level">Instructions to use.</param>
    /// <param name="rows">Rows, from 1 to <see cref="Height"/>.</param>
    /// <param name="a">First number of the first row.</param>
    /// <param name="stride">Numbers from one step of the depth to the next in <paramref name="a"/>.</param>
    /// <param name="panel">First number of the first step.</param>
    /// <param name="c">Where results go: <see cref="Width"/> for each row.</param>
    /// <param name="cStride">Numbers from one row of results to the next.</param>
    /// <param name="depth">Steps.</param>
    /// <param name="accumulates">Whether results go on from what is in <paramref name="c"/>.</param>
    public static void Multiply<TElement, T>(SimdLevel level, int rows, float* a, int stride, T* panel, float* c, long cStride, int depth, bool accumulates)
        where TElement : IPanelElement<T>
        where T : unmanaged
    {
        if (level == SimdLevel.Vector512)
        {
            Rows512<TElement, T>(rows, a, stride, panel, c, cStride, depth, accumulates);
            return;
        }

        if (level == SimdLevel.Vector256)
        {
            Rows256<TElement, T>(rows, a, stride, panel, c, cStride, depth, accumulates);
            return;
        }

        for (var row = 0; row < rows; row++)
        {
            OneScalar<TElement, T>(a + row, stride, panel, c + (row * cStride), depth, accumulates);
        }
    }

    private static void Rows512<TElement, T>(int rows, float* a, int stride, T* panel, float* c, long cStride, int depth, bool accumulates)
        where TElement : IPanelElement<T>
        where T : unmanaged
    {
        if (rows == Height)
        {
            Eight512<TElement, T>(a, stride, panel, c, cStride, depth, accumulates);
            return;
        }

        var row = 0;
        if (rows >= 4)
        {
            Four512<TElement, T>(a, stride, panel, c, cStride, depth, accumulates);
            row = 4;
        }

        for (; row < rows; row++)
        {
            One512<TElement, T>(a + row, stride, panel, c + (row * cStride), depth, accumulates);
        }
    }

    private static void Rows256<TElement, T>(int rows, float* a, int stride, T* panel, float* c, long cStride, int depth, bool accumulates)
        where TElement : IPanelElement<T>
        where T : unmanaged
    {
        var row = 0;
        for (; row + 4 <= rows; row += 4)
        {
            Four256<TElement, T>(a + row, stride, panel, c + (row * cStride), cStride, depth, accumulates);
            Four256<TElement, T>(a + row, stride, panel + 16, c + (row * cStride) + 16, cStride, depth, accumulates);
        }

        for (; row < rows; row++)
        {
            One256<TElement, T>(a + row, stride, panel, c + (row * cStride), depth, accumulates);
        }
    }

    private static void Eight512<TElement, T>(float* a, int stride, T* panel, float* c, long cStride, int depth, bool accumulates)
        where TElement : IPanelElement<T>
        where T : unmanaged
    {
        var (c00, c01, c10, c11) = Begin512(c, cStride, accumulates);
        var (c20, c21, c30, c31) = Begin512(c + (2 * cStride), cStride, accumulates);
        var (c40, c41, c50, c51) = Begin512(c + (4 * cStride), cStride, accumulates);
        var (c60, c61, c70, c71) = Begin512(c + (6 * cStride), cStride, accumulates);
        for (var step = 0; step < depth; step++)
        {
            var b0 = TElement.Load512(panel);
            var b1 = TElement.Load512(panel + 16);
            var x = Vector512.Create(a[0]);
            c00 = Avx512F.FusedMultiplyAdd(x, b0, c00);
            c01 = Avx512F.FusedMultiplyAdd(x, b1, c01);
            x = Vector512.Create(a[1]);
            c10 = Avx512F.FusedMultiplyAdd(x, b0, c10);
            c11 = Avx512F.FusedMultiplyAdd(x, b1, c11);
            x = Vector512.Create(a[2]);
            c20 = Avx512F.FusedMultiplyAdd(x, b0, c20);
            c21 = Avx512F.FusedMultiplyAdd(x, b1, c21);
            x = Vector512.Create(a[3]);
            c30 = Avx512F.FusedMultiplyAdd(x, b0, c30);
            c31 = Avx512F.FusedMultiplyAdd(x, b1, c31);
            x = Vector512.Create(a[4]);
            c40 = Avx512F.FusedMultiplyAdd(x, b0, c40);
            c41 = Avx512F.FusedMultiplyAdd(x, b1, c41);
            x = Vector512.Create(a[5]);
            c50 = Avx512F.FusedMultiplyAdd(x, b0, c50);
            c51 = Avx512F.FusedMultiplyAdd(x, b1, c51);
            x = Vector512.Create(a[6]);
            c60 = Avx512F.FusedMultiplyAdd(x, b0, c60);
            c61 = Avx512F.FusedMultiplyAdd(x, b1, c61);
            x = Vector512.Create(a[7]);
            c70 = Avx512F.FusedMultiplyAdd(x, b0, c70);
            c71 = Avx512F.FusedMultiplyAdd(x, b1, c71);
            a += stride;
            panel += Width;
        }

        End512(c, cStride, c00, c01, c10, c11);
        End512(c + (2 * cStride), cStride, c20, c21, c30, c31);
        End512(c + (4 * cStride), cStride, c40, c41, c50, c51);
        End512(c + (6 * cStride), cStride, c60, c61, c70, c71);
    }

    private static void Four512<TElement, T>(float* a, int stride, T* panel, float* c, long cStride, int depth, bool accumulates)
        where TElement : IPanelElement<T>
        where T : unmanaged
    {
        var (c00, c01, c10, c11) = Begin512(c, cStride, accumulates);
        var (c20, c21, c30, c31) = Begin512(c + (2 * cStride), cStride, accumulates);
        for (var step = 0; step < depth; step++)
        {
            var b0 = TElement.Load512(panel);
            var b1 = TElement.Load512(panel + 16);
            var x = Vector512.Create(a[0]);
            c00 = Avx512F.FusedMultiplyAdd(x, b0, c00);
            c01 = Avx512F.FusedMultiplyAdd(x, b1, c01);
            x = Vector512.Create(a[1]);
            c10 = Avx512F.FusedMultiplyAdd(x, b0, c10);
            c11 = Avx512F.FusedMultiplyAdd(x, b1, c11);
            x = Vector512.Create(a[2]);
            c20 = Avx512F.FusedMultiplyAdd(x, b0, c20);
            c21 = Avx512F.FusedMultiplyAdd(x, b1, c21);
            x = Vector512.Create(a[3]);
            c30 = Avx512F.FusedMultiplyAdd(x, b0, c30);
            c31 = Avx512F.FusedMultiplyAdd(x, b1, c31);
            a += stride;
            panel += Width;
        }

        End512(c, cStride, c00, c01, c10, c11);
        End512(c + (2 * cStride), cStride, c20, c21, c30, c31);
    }

    private static void One512<TElement, T>(float* a, int stride, T* panel, float* c, int depth, bool accumulates)
        where TElement : IPanelElement<T>
        where T : unmanaged
    {
        var c0 = accumulates ? Vector512.Load(c) : Vector512<float>.Zero;
        var c1 = accumulates ? Vector512.Load(c + 16) : Vector512<float>.Zero;
        for (var step = 0; step < depth; step++)
        {
            var x = Vector512.Create(*a);
            c0 = Avx512F.FusedMultiplyAdd(x, TElement.Load512(panel), c0);
            c1 = Avx512F.FusedMultiplyAdd(x, TElement.Load512(panel + 16), c1);
            a += stride;
            panel += Width;
        }

        c0.Store(c);
        c1.Store(c + 16);
    }

    private static void Four256<TElement, T>(float* a, int stride, T* panel, float* c, long cStride, int depth, bool accumulates)
        where TElement : IPanelElement<T>
        where T : unmanaged
    {
        var (c00, c01, c10, c11) = Begin256(c, cStride, accumulates);
        var (c20, c21, c30, c31) = Begin256(c + (2 * cStride), cStride, accumulates);
        for (var step = 0; step < depth; step++)
        {
            var b0 = TElement.Load256(panel);
            var b1 = TElement.Load256(panel + 8);
            var x = Vector256.Create(a[0]);
            c00 = Fma.MultiplyAdd(x, b0, c00);
            c01 = Fma.MultiplyAdd(x, b1, c01);
            x = Vector256.Create(a[1]);
            c10 = Fma.MultiplyAdd(x, b0, c10);
            c11 = Fma.MultiplyAdd(x, b1, c11);
            x = Vector256.Create(a[2]);
            c20 = Fma.MultiplyAdd(x, b0, c20);
            c21 = Fma.MultiplyAdd(x, b1, c21);
            x = Vector256.Create(a[3]);
            c30 = Fma.MultiplyAdd(x, b0, c30);
            c31 = Fma.MultiplyAdd(x, b1, c31);
            a += stride;
            panel += Width;
        }

        End256(c, cStride, c00, c01, c10, c11);
        End256(c + (2 * cStride), cStride, c20, c21, c30, c31);
    }

    private static void One256<TElement, T>(float* a, int stride, T* panel, float* c, int depth, bool accumulates)
        where TElement : IPanelElement<T>
        where T : unmanaged
    {
        var (c0, c1, c2, c3) = Begin256(c, 16, accumulates);
        for (var step = 0; step < depth; step++)
        {
            var x = Vector256.Create(*a);
            c0 = Fma.MultiplyAdd(x, TElement.Load256(panel), c0);
            c1 = Fma.MultiplyAdd(x, TElement.Load256(panel + 8), c1);
            c2 = Fma.MultiplyAdd(x, TElement.Load256(panel + 16), c2);
            c3 = Fma.MultiplyAdd(x, TElement.Load256(panel + 24), c3);
            a += stride;
            panel += Width;
        }

        End256(c, 16, c0, c1, c2, c3);
    }

    private static void OneScalar<TElement, T>(float* a, int stride, T* panel, float* c, int depth, bool accumulates)
        where TElement : IPanelElement<T>
        where T : unmanaged
    {
        for (var column = 0; column < Width; column++)
        {
            var sum = accumulates ? c[column] : 0f;
            for (var step = 0L; step < depth; step++)
            {
                sum = MathF.FusedMultiplyAdd(a[step * stride], TElement.Load(panel + (step * Width) + column), sum);
            }

            c[column] = sum;
        }
    }

    /// <summary>Two rows of results.</summary>
    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> C00, Vector512<float> C01, Vector512<float> C10, Vector512<float> C11) Begin512(float* c, long stride, bool accumulates) =>
        accumulates ? (Vector512.Load(c), Vector512.Load(c + 16), Vector512.Load(c + stride), Vector512.Load(c + stride + 16)) : default;

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.AggressiveInlining)]
    private static void End512(float* c, long stride, Vector512<float> c00, Vector512<float> c01, Vector512<float> c10, Vector512<float> c11)
    {
        c00.Store(c);
        c01.Store(c + 16);
        c10.Store(c + stride);
        c11.Store(c + stride + 16);
    }

    /// <summary>Sixteen columns of two rows.</summary>
    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> C00, Vector256<float> C01, Vector256<float> C10, Vector256<float> C11) Begin256(float* c, long stride, bool accumulates) =>
        accumulates ? (Vector256.Load(c), Vector256.Load(c + 8), Vector256.Load(c + stride), Vector256.Load(c + stride + 8)) : default;

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.AggressiveInlining)]
    private static void End256(float* c, long stride, Vector256<float> c00, Vector256<float> c01, Vector256<float> c10, Vector256<float> c11)
    {
        c00.Store(c);
        c01.Store(c + 8);
        c10.Store(c + stride);
        c11.Store(c + stride + 8);
    }
}
