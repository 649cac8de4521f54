using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace KvMesh.Worker.Model.Numerics;

/// <summary>How the numbers of a panel become singles: exactly, so that a kernel gives the same result for equal weights in either form.</summary>
internal unsafe interface IPanelElement<T>
    where T : unmanaged
{
    static abstract float Load(T* source);

    static abstract Vector256<float> Load256(T* source);

    static abstract Vector512<float> Load512(T* source);
}

/// <summary>Singles as they are.</summary>
internal readonly unsafe struct SingleElement : IPanelElement<float>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(float* source) => *source;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(float* source) => Vector256.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(float* source) => Vector512.Load(source);
}

/// <summary>bfloat16: the upper half of a single.</summary>
internal readonly unsafe struct BFloatElement : IPanelElement<ushort>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(ushort* source) => BitConverter.UInt32BitsToSingle((uint)*source << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load256(ushort* source)
    {
        var (low, high) = Vector128.Widen(Vector128.Load(source));
        return (Vector256.Create(low, high) << 16).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load512(ushort* source) =>
        (System.Runtime.Intrinsics.X86.Avx512F.ConvertToVector512UInt32(Vector256.Load(source)) << 16).AsSingle();
}
