using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using KvMesh.Protocol.Sequences;

namespace KvMesh.Cluster.Sequences;

/// <summary>Writes tagged fields; what is zero or empty is left out.</summary>
internal sealed class FieldWriter
{
    private readonly ArrayBufferWriter<byte> _buffer = new(512);

    public FieldWriter() => _buffer.Write(stackalloc byte[SequenceHeadFormat.PrefixBytes]);

    public void Number(int number, ulong value)
    {
        if (value != 0)
        {
            Varint((ulong)number << 1);
            Varint(value);
        }
    }

    public void Text(int number, string value) => Bytes(number, Encoding.UTF8.GetBytes(value));

    public void Hash(int number, in BlockHash hash)
    {
        if (hash != BlockHash.Root)
        {
            Bytes(number, hash);
        }
    }

    public void Bytes(int number, ReadOnlySpan<byte> value)
    {
        if (!value.IsEmpty)
        {
            Varint(((ulong)number << 1) | 1);
            Varint((ulong)value.Length);
            _buffer.Write(value);
        }
    }

    public void Raw(ReadOnlySpan<byte> fields) => _buffer.Write(fields);

    public byte[] Finish(byte format, int stamp, long version)
    {
        var bytes = _buffer.WrittenSpan.ToArray();
        bytes.AsSpan(0, SequenceHeadFormat.PrefixBytes).Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, ((uint)stamp << (8 * SequenceHeadFormat.StampOffset)) | format);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), (uint)bytes.Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(SequenceHeadFormat.VersionOffset), version);
        return bytes;
    }

    private void Varint(ulong value)
    {
        var span = _buffer.GetSpan(10);
        var count = 0;
        for (; value >= 0x80; value >>= 7)
        {
            span[count++] = (byte)(value | 0x80);
        }

        span[count++] = (byte)value;
        _buffer.Advance(count);
    }
}

/// <summary>Walks tagged fields. What is no field ends the walk and is told.</summary>
internal ref struct FieldReader(ReadOnlySpan<byte> source)
{
    private ReadOnlySpan<byte> _rest = source;

    public bool IsBroken { get; private set; }

    /// <param name="whole">The field with its tag, to be kept when the number is unknown.</param>
    public bool TryNext(out int number, out ulong value, out ReadOnlySpan<byte> bytes, out ReadOnlySpan<byte> whole)
    {
        (number, value) = (0, 0);
        bytes = whole = default;
        if (_rest.IsEmpty || IsBroken)
        {
            return false;
        }

        var start = _rest;
        if (!TryVarint(out var tag) || !TryVarint(out value) || tag >> 1 is 0 or > int.MaxValue)
        {
            IsBroken = true;
            return false;
        }

        number = (int)(tag >> 1);
        if ((tag & 1) != 0)
        {
            if (value > (ulong)_rest.Length)
            {
                IsBroken = true;
                return false;
            }

            bytes = _rest[..(int)value];
            _rest = _rest[(int)value..];
        }

        whole = start[..(start.Length - _rest.Length)];
        return true;
    }

    private bool TryVarint(out ulong value)
    {
        value = 0;
        for (var index = 0; index < _rest.Length && index < 10; index++)
        {
            var part = _rest[index];
            if (index == 9 && part > 1)
            {
                return false;
            }

            value |= (ulong)(part & 0x7F) << (7 * index);
            if (part < 0x80)
            {
                _rest = _rest[(index + 1)..];
                return true;
            }
        }

        return false;
    }
}
