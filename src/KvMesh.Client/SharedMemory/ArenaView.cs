using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvMesh.Protocol;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.SharedMemory;
using Microsoft.Win32.SafeHandles;

namespace KvMesh.Client.SharedMemory;

/// <summary>
/// A node's arena, mapped read-only. Bytes are those of the granted block as long as its descriptor carries the granted generation, which is
/// looked at after the bytes were read: a lease that ran out shows there. Hold the view (<see cref="TryHold"/>) while using a span of it.
/// </summary>
internal sealed class ArenaView : IDisposable
{
    private const int TableAlignment = 8;

    private readonly SharedMapping _mapping;

    private ArenaView(SharedMapping mapping, in AttachResponse layout)
    {
        _mapping = mapping;
        Layout = layout;
    }

    public AttachResponse Layout { get; }

    /// <summary>Where it is in this process.</summary>
    public unsafe (nint Start, long Bytes) Range => ((nint)_mapping.Start, _mapping.Bytes);

    public static ArenaView Map(in AttachResponse layout, SafeFileHandle file)
    {
        var descriptorsEnd = layout.DescriptorOffset + ((ulong)layout.DescriptorCount * BlockDescriptor.Bytes);
        if (layout.FileBytes > long.MaxValue || descriptorsEnd > layout.FileBytes || layout.DataOffset > layout.FileBytes || layout.DataBytes > layout.FileBytes - layout.DataOffset)
        {
            throw new IOException($"The node describes an arena of {layout.FileBytes} bytes whose parts do not fit into it.");
        }

        return new ArenaView(SharedMapping.Map(file, (long)layout.FileBytes, writable: false), layout);
    }

    /// <summary>Keeps the arena mapped until <see cref="LetGo"/>. False when the client was disposed.</summary>
    public bool TryHold()
    {
        try
        {
            var isHeld = false;
            _mapping.DangerousAddRef(ref isHeld);
            return isHeld;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    public void LetGo() => _mapping.DangerousRelease();

    /// <summary>Whether a grant lies inside the arena: a node that errs must not make this process read elsewhere.</summary>
    public bool Contains(in LeaseGrant grant)
    {
        var bytes = TableOffset(grant) + ((ulong)ChecksumTable.EntryCount(grant.PayloadBytes) * sizeof(uint));
        return grant.PayloadBytes <= Limits.MaxBlockBytes
            && grant.PayloadOffset <= Layout.DataBytes
            && bytes <= Layout.DataBytes - grant.PayloadOffset
            && grant.DescriptorIndex < Layout.DescriptorCount;
    }

    public ReadOnlySpan<byte> Payload(in LeaseGrant grant) => _mapping.Slice((long)(Layout.DataOffset + grant.PayloadOffset), (int)grant.PayloadBytes);

    /// <summary>Copies the checksum table out, and tells whether it is the one that was granted.</summary>
    public bool TryReadTable(in LeaseGrant grant, Span<uint> table)
    {
        var source = _mapping.Slice((long)(Layout.DataOffset + grant.PayloadOffset + TableOffset(grant)), table.Length * sizeof(uint));
        source.CopyTo(MemoryMarshal.AsBytes(table));
        return ChecksumTable.Seal(table) == grant.TableChecksum;
    }

    /// <summary>Whether everything read so far was the granted block's.</summary>
    public bool IsCurrent(in LeaseGrant grant)
    {
        // The bytes must have been read before the generation is.
        Interlocked.MemoryBarrier();
        var offset = (long)(Layout.DescriptorOffset + ((ulong)grant.DescriptorIndex * BlockDescriptor.Bytes));
        ref var descriptor = ref Unsafe.As<byte, BlockDescriptor>(ref MemoryMarshal.GetReference(_mapping.Slice(offset, BlockDescriptor.Bytes)));
        return Volatile.Read(ref descriptor.Generation) == grant.Generation;
    }

    public void Dispose() => _mapping.Dispose();

    private static ulong TableOffset(in LeaseGrant grant) => ((ulong)grant.PayloadBytes + TableAlignment - 1) / TableAlignment * TableAlignment;
}
