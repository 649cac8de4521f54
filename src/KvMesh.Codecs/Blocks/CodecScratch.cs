using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Numerics;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// Working memory of encoders and decoders, so that a warm one allocates nothing: buffers grow to the largest strip seen and stay. For one
/// thread at a time. Slots are the codec's to use; one slot holds one thing at a time, and what it held is lost when it is asked for again.
/// </summary>
/// <param name="level">Instructions to use; the best of the processor unless told otherwise.</param>
public sealed class CodecScratch(SimdLevel level)
{
    /// <summary>Slots of a codec, 0 to this less one.</summary>
    public const int SlotCount = 8;

    private readonly byte[][] _slots = [.. Enumerable.Repeat(Array.Empty<byte>(), SlotCount)];
    private readonly byte[][] _frame = [.. Enumerable.Repeat(Array.Empty<byte>(), (int)FrameSlot.Count)];

    private (KeyRotation? Rotation, long FirstPosition, int Tokens) _rotated;

    public CodecScratch()
        : this(SimdLevels.Best)
    {
    }

    /// <summary>Instructions to use.</summary>
    public SimdLevel Level { get; } = level <= SimdLevels.Best
        ? level
        : throw new ArgumentOutOfRangeException(nameof(level), level, $"This processor goes up to {SimdLevels.Best}.");

    /// <summary>Bytes held at present.</summary>
    public long Bytes => _slots.Sum(slot => (long)slot.Length) + _frame.Sum(slot => (long)slot.Length);

    /// <summary>The rotation table of consecutive tokens, kept for the next strip of the same tokens; empty for a layout without rope.</summary>
    internal ReadOnlySpan<float> RotationTable(KvLayout layout, long firstPosition, int tokens)
    {
        if (layout.Rotation is not { } rotation)
        {
            return default;
        }

        var length = rotation.TableLength(tokens);
        var isKept = ReferenceEquals(_rotated.Rotation, rotation) && _rotated.FirstPosition == firstPosition && _rotated.Tokens >= tokens;
        if (!isKept)
        {
            rotation.FillTable(firstPosition, tokens, Rent<float>(FrameSlot.Rotation, length));
            _rotated = (rotation, firstPosition, tokens);
        }

        return Rent<float>(FrameSlot.Rotation, length);
    }

    /// <summary>Uninitialised elements in a slot.</summary>
    public Span<T> Rent<T>(int slot, int count)
        where T : unmanaged => Rent<T>(ref _slots[slot], count);

    internal Span<byte> Rent(FrameSlot slot, int count) => Rent<byte>(slot, count);

    internal Span<T> Rent<T>(FrameSlot slot, int count)
        where T : unmanaged => Rent<T>(ref _frame[(int)slot], count);

    private static Span<T> Rent<T>(ref byte[] slot, int count)
        where T : unmanaged
    {
        var bytes = checked(count * Unsafe.SizeOf<T>());
        if (slot.Length < bytes)
        {
            slot = GC.AllocateUninitializedArray<byte>(bytes, pinned: true);
        }

        return MemoryMarshal.Cast<byte, T>(slot.AsSpan(0, bytes));
    }
}

/// <summary>What the frame around codecs keeps in a scratch.</summary>
internal enum FrameSlot
{
    /// <summary>Rows of a strip that cannot be read where they lie.</summary>
    Source,

    /// <summary>Rows of a decoded strip that cannot be written where they belong.</summary>
    Target,

    ProbeKeys,
    ProbeValues,
    ProbeDecodedKeys,
    ProbeDecodedValues,
    ProbeWork,
    Rotation,

    /// <summary>A strip put together from its base and its refinements.</summary>
    Refined,

    /// <summary>Sections before their refinements are taken out of them, and their lengths.</summary>
    Whole,
    Lengths,

    /// <summary>A block with one layer of each pair.</summary>
    Pairs,
    Count,
}
