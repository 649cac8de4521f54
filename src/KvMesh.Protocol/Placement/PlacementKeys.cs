using System.Diagnostics.CodeAnalysis;
using System.Text;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native;

namespace KvMesh.Protocol.Placement;

/// <summary>How messages about placement write tenants, texts and the keys of a run: as the keys of any request, in the shorter form that fits.</summary>
public static class PlacementKeys
{
    /// <summary>How many of the keys fit into one message.</summary>
    public static int CountThatFits(IReadOnlyList<ReadOnlyMemory<byte>> keys)
    {
        ArgumentNullException.ThrowIfNull(keys);
        var most = Math.Min(keys.Count, PlacementLimits.MaxRunBlocks);
        if (IsChain(keys))
        {
            return most;
        }

        var bytes = 0;
        for (var index = 0; index < most; index++)
        {
            bytes += sizeof(ushort) + keys[index].Length;
            if (bytes > PlacementLimits.MaxKeyBytes)
            {
                return index;
            }
        }

        return most;
    }

    /// <summary>Writes a tenant or another short text behind its length.</summary>
    public static void WriteText(FrameWriter writer, string text, int mostBytes = PlacementLimits.MaxTextBytes)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        writer.WriteShortBytes(bytes.AsSpan(0, Math.Min(bytes.Length, mostBytes)));
    }

    public static string ReadText(ref HeadReader reader) => Encoding.UTF8.GetString(reader.ReadShortBytes());

    /// <summary>Writes keys as the last part of a head.</summary>
    public static void Write(FrameWriter writer, IReadOnlyList<ReadOnlyMemory<byte>> keys)
    {
        ArgumentNullException.ThrowIfNull(keys);
        var isChain = IsChain(keys);
        var scope = isChain ? keys[0].Span[..^Limits.ChainHashBytes] : default;
        writer.WriteByte((byte)(isChain ? KeyForm.Chain : KeyForm.Opaque));
        writer.WriteByte(0);
        writer.WriteUInt16((ushort)scope.Length);
        writer.WriteUInt32((uint)keys.Count);
        writer.WriteBytes(scope);
        foreach (var key in keys)
        {
            if (isChain)
            {
                writer.WriteBytes(key.Span[^Limits.ChainHashBytes..]);
            }
            else
            {
                writer.WriteShortBytes(key.Span);
            }
        }
    }

    /// <summary>Reads the keys that end a head.</summary>
    public static bool TryRead(ref HeadReader reader, [NotNullWhen(true)] out ReadOnlyMemory<byte>[]? keys)
    {
        keys = null;
        if (!KeySet.TryRead(ref reader, out var set, out _) || set.Count > PlacementLimits.MaxRunBlocks)
        {
            return false;
        }

        keys = new ReadOnlyMemory<byte>[set.Count];
        Span<byte> buffer = new byte[Limits.MaxKeyBytes];
        var cursor = set.GetCursor();
        for (var index = 0; cursor.TryNext(buffer, out var key); index++)
        {
            keys[index] = key.ToArray();
        }

        return true;
    }

    /// <summary>Whether all keys are those of one chain: one scope and a hash each.</summary>
    private static bool IsChain(IReadOnlyList<ReadOnlyMemory<byte>> keys)
    {
        var first = keys[0].Span;
        if (first.Length <= Limits.ChainHashBytes || !BlockScope.IsWellFormed(first[..^Limits.ChainHashBytes]))
        {
            return false;
        }

        for (var index = 1; index < keys.Count; index++)
        {
            if (keys[index].Length != first.Length || !keys[index].Span[..^Limits.ChainHashBytes].SequenceEqual(first[..^Limits.ChainHashBytes]))
            {
                return false;
            }
        }

        return true;
    }
}
