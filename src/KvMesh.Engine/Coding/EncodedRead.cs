using System.Runtime.InteropServices;
using KvMesh.Engine.Disk;
using KvMesh.Engine.Host;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Coding;

/// <summary>
/// A block as it lies encoded, for whoever decodes it himself. The bytes stay until <see cref="Dispose"/>, which must be called exactly once. They
/// agree with their checksums, those in RAM as far as a sample and the scrubber found; that they decode to the block was proved when they were written.
/// </summary>
public readonly struct EncodedRead : IDisposable
{
    private readonly EncodedDoor? _door;
    private readonly AlignedBuffer? _buffer;
    private readonly EncodedCopy? _copy;
    private readonly StoredExtent _stored;

    internal EncodedRead(EncodedDoor door, AlignedBuffer buffer, in StoredExtent stored)
    {
        _door = door;
        _buffer = buffer;
        _stored = stored;
    }

    /// <param name="copy">Held open by the caller, whose hold this takes over.</param>
    internal EncodedRead(EncodedCopy copy)
    {
        _copy = copy;
        var (form, index) = (copy.Form, copy.Index);
        _stored = new StoredExtent(form.PayloadBytes, form.ExtentBytes, form.TableChecksum, index.BlockBytes, index.BlockTableChecksum) { Codec = form.Codec };
        Loss = copy.Loss;
    }

    /// <summary>What the codec wrote.</summary>
    public ReadOnlySpan<byte> Payload => _copy is { } copy ? copy.Payload : _buffer!.Span.Slice(Extent.PayloadOffset(_stored.PayloadBytes), _stored.PayloadBytes);

    /// <summary>One CRC-32C per 64 KiB of <see cref="Payload"/>.</summary>
    public ReadOnlySpan<uint> Checksums => _copy is { } copy ? copy.Table : MemoryMarshal.Cast<byte, uint>(
        _buffer!.Span.Slice(Extent.TrailerOffset(_stored.PayloadBytes), ChecksumTable.EntryCount(_stored.PayloadBytes) * sizeof(uint)));

    /// <summary>CRC-32C over <see cref="Checksums"/>.</summary>
    public uint TableChecksum => _stored.TableChecksum;

    /// <summary>Kind of the codec.</summary>
    public ushort Codec => _stored.Codec;

    /// <summary>Bytes that it decodes to.</summary>
    public int BlockBytes => _stored.BlockBytes;

    /// <summary>CRC-32C over the checksum table of what it decodes to.</summary>
    public uint BlockTableChecksum => _stored.BlockTableChecksum;

    /// <summary>What the block has lost; null: nothing.</summary>
    public Loss? Loss { get; init; }

    public void Dispose()
    {
        _copy?.Close();
        _door?.Return(_buffer!);
    }
}
