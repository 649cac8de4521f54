using System.Buffers.Binary;

namespace KvMesh.Protocol.Native;

/// <summary>
/// Reads the fields of a head. A head that is too short makes every later read return zero or nothing and
/// <see cref="IsValid"/> false, so that a message is checked once, at its end.
/// </summary>
public ref struct HeadReader(ReadOnlySpan<byte> head)
{
    private ReadOnlySpan<byte> _rest = head;
    private bool _isShort;

    /// <summary>Whether all reads so far found their bytes.</summary>
    public readonly bool IsValid => !_isShort;

    /// <summary>Whether all reads found their bytes and no byte is left.</summary>
    public readonly bool IsComplete => !_isShort && _rest.IsEmpty;

    public byte ReadByte()
    {
        var bytes = ReadBytes(1);
        return bytes.IsEmpty ? (byte)0 : bytes[0];
    }

    public ushort ReadUInt16()
    {
        var bytes = ReadBytes(sizeof(ushort));
        return bytes.IsEmpty ? (ushort)0 : BinaryPrimitives.ReadUInt16LittleEndian(bytes);
    }

    public uint ReadUInt32()
    {
        var bytes = ReadBytes(sizeof(uint));
        return bytes.IsEmpty ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    public long ReadInt64()
    {
        var bytes = ReadBytes(sizeof(long));
        return bytes.IsEmpty ? 0 : BinaryPrimitives.ReadInt64LittleEndian(bytes);
    }

    public ulong ReadUInt64() => (ulong)ReadInt64();

    /// <summary>The next <paramref name="count"/> bytes, or nothing when fewer are left.</summary>
    public ReadOnlySpan<byte> ReadBytes(long count)
    {
        if (_isShort || count < 0 || count > _rest.Length)
        {
            _isShort = true;
            _rest = default;
            return default;
        }

        var bytes = _rest[..(int)count];
        _rest = _rest[(int)count..];
        return bytes;
    }

    /// <summary>Bytes behind a u16 length.</summary>
    public ReadOnlySpan<byte> ReadShortBytes() => ReadBytes(ReadUInt16());
}
