using System.Buffers.Binary;
using System.Text;

namespace KvMesh.Protocol.Keys;

/// <summary>
/// What all blocks of a chain have in common: everything of a native key but the chain hash. Its bytes are
/// 01 ‖ u8 length ‖ model ‖ u8 length ‖ revision ‖ layout hash (32) ‖ u32-LE part; a block key is these bytes and 32 bytes of hash.
/// </summary>
public sealed class BlockScope
{
    /// <summary>First byte of a native key: its version.</summary>
    public const byte KeyVersion = 1;

    /// <summary>Longest model or revision name, in UTF-8 bytes.</summary>
    public const int MaxNameBytes = 255;

    private readonly byte[] _bytes;

    /// <param name="model">Name of the model, 1 to 255 bytes of UTF-8.</param>
    /// <param name="revision">Revision of its weights, 0 to 255 bytes of UTF-8.</param>
    /// <param name="layoutHash">32 bytes that name the layout of the payload.</param>
    /// <param name="part">Index of the canonical part (head group × layer group).</param>
    /// <exception cref="ArgumentException">A name is empty or too long, or the layout hash is not 32 bytes.</exception>
    public BlockScope(string model, string revision, ReadOnlySpan<byte> layoutHash, uint part)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        ArgumentNullException.ThrowIfNull(revision);
        var modelBytes = Encoding.UTF8.GetBytes(model);
        var revisionBytes = Encoding.UTF8.GetBytes(revision);
        ThrowIfTooLong(modelBytes, nameof(model));
        ThrowIfTooLong(revisionBytes, nameof(revision));
        if (layoutHash.Length != Limits.ChainHashBytes)
        {
            throw new ArgumentException($"layoutHash has {layoutHash.Length} bytes; it must have {Limits.ChainHashBytes}.", nameof(layoutHash));
        }

        Model = model;
        Revision = revision;
        Part = part;
        _bytes =
        [
            KeyVersion, (byte)modelBytes.Length, .. modelBytes, (byte)revisionBytes.Length, .. revisionBytes, .. layoutHash, 0, 0, 0, 0,
        ];
        BinaryPrimitives.WriteUInt32LittleEndian(_bytes.AsSpan(_bytes.Length - sizeof(uint)), part);
    }

    public string Model { get; }

    public string Revision { get; }

    public uint Part { get; }

    /// <summary>The bytes before the chain hash in each key of the scope.</summary>
    public ReadOnlyMemory<byte> Bytes => _bytes;

    /// <summary>Whether bytes that came over a wire are exactly one scope.</summary>
    public static bool IsWellFormed(ReadOnlySpan<byte> source)
    {
        if (source.Length < 3 || source[0] != KeyVersion || source[1] == 0 || source.Length < 3 + source[1])
        {
            return false;
        }

        return source.Length == 3 + source[1] + source[2 + source[1]] + Limits.ChainHashBytes + sizeof(uint);
    }

    /// <summary>Reads scope bytes that came over a wire. False when they are not exactly one scope.</summary>
    public static bool TryParse(ReadOnlySpan<byte> source, out string model, out string revision)
    {
        model = revision = "";
        if (!IsWellFormed(source))
        {
            return false;
        }

        int modelBytes = source[1];
        model = Encoding.UTF8.GetString(source.Slice(2, modelBytes));
        revision = Encoding.UTF8.GetString(source.Slice(3 + modelBytes, source[2 + modelBytes]));
        return true;
    }

    /// <summary>The whole key of one block of the scope.</summary>
    public byte[] KeyOf(ReadOnlySpan<byte> chainHash) => [.. _bytes, .. chainHash];

    private static void ThrowIfTooLong(byte[] name, string parameter)
    {
        if (name.Length > MaxNameBytes)
        {
            throw new ArgumentException($"{parameter} has {name.Length} bytes of UTF-8; the limit is {MaxNameBytes}.", parameter);
        }
    }
}
