using System.Text;
using KvMesh.Engine.Arena;
using KvMesh.Engine.Host;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Blocks;

/// <summary>
/// What stands behind a payload in its extent: checksum table ‖ tenant ‖ model ‖ revision ‖ key, and what it lost if it did. It makes an extent complete in
/// itself, in RAM and on disk.
/// </summary>
internal static class Trailer
{
    /// <summary>Longest model or revision name kept with a block; a longer one counts as unknown.</summary>
    public const int MaxNameBytes = byte.MaxValue;

    /// <summary>Bytes of the trailer behind the table.</summary>
    public static int NameBytes(Scope scope, int keyBytes, Loss? loss = null) =>
        scope.Tenant.NameBytes.Length + Encoding.UTF8.GetByteCount(scope.Model) + Encoding.UTF8.GetByteCount(scope.Revision) + keyBytes
        + (loss is null ? 0 : Loss.Bytes);

    /// <summary>The payload before the trailer. The caller holds the extent: reserved, or open for reading.</summary>
    public static Span<byte> Payload(ArenaMapping arena, in Extent extent, int payloadBytes) =>
        arena.Data(extent.Offset + Extent.PayloadOffset(payloadBytes), payloadBytes);

    public static Span<uint> Table(ArenaMapping arena, in Extent extent, int payloadBytes) =>
        arena.Words(extent.Offset + Extent.TrailerOffset(payloadBytes), ChecksumTable.EntryCount(payloadBytes));

    /// <summary>Writes the names behind a table that is complete, and returns the descriptor of the block, without lifetime fields.</summary>
    public static BlockDescriptor Write(ArenaMapping arena, Block block)
    {
        var extent = block.Extent;
        var trailer = arena.Data(extent.Offset, extent.Bytes)[Extent.TrailerOffset(block.PayloadBytes)..];
        var names = trailer[(ChecksumTable.EntryCount(block.PayloadBytes) * sizeof(uint))..];
        var tenant = block.Tenant.NameBytes;
        tenant.CopyTo(names);
        var modelBytes = Encoding.UTF8.GetBytes(block.Scope.Model, names[tenant.Length..]);
        var revisionBytes = Encoding.UTF8.GetBytes(block.Scope.Revision, names[(tenant.Length + modelBytes)..]);
        names = names[(tenant.Length + modelBytes + revisionBytes)..];
        block.Key.CopyTo(names);
        block.Loss?.Write(names[block.Key.Length..]);

        block.TableChecksum = ChecksumTable.Seal(Table(arena, extent, block.PayloadBytes));
        block.TrailerChecksum = Crc32C.Compute(trailer);
        return new BlockDescriptor
        {
            Digest = block.Digest,
            Parent = block.Related,
            ExtentOffset = extent.Offset,
            ExtentBytes = extent.Bytes,
            PayloadBytes = block.PayloadBytes,
            Flags = block.Loss is null ? block.Flags : block.Flags | BlockFlags.Lossy,
            ScopeEpoch = block.Scope.Epoch,
            TableChecksum = block.TableChecksum,
            TrailerChecksum = block.TrailerChecksum,
            KeyBytes = (ushort)block.Key.Length,
            TenantBytes = (byte)tenant.Length,
            ModelBytes = (byte)modelBytes,
            RevisionBytes = (byte)revisionBytes,
        };
    }

    /// <summary>Reads the names of an extent whose descriptor is intact. False when the trailer is not what was sealed.</summary>
    public static bool TryRead(ArenaMapping arena, in BlockDescriptor descriptor, out TrailerNames names)
    {
        names = default;
        if (!HasPlausibleLengths(arena, descriptor))
        {
            return false;
        }

        var trailer = arena.Data(descriptor.ExtentOffset, (int)descriptor.ExtentBytes)[Extent.TrailerOffset((int)descriptor.PayloadBytes)..];
        if (Crc32C.Compute(trailer) != descriptor.TrailerChecksum)
        {
            return false;
        }

        var text = trailer[(ChecksumTable.EntryCount(descriptor.PayloadBytes) * sizeof(uint))..];
        names = new TrailerNames(
            Encoding.UTF8.GetString(Take(ref text, descriptor.TenantBytes)),
            Encoding.UTF8.GetString(Take(ref text, descriptor.ModelBytes)),
            Encoding.UTF8.GetString(Take(ref text, descriptor.RevisionBytes)),
            Take(ref text, descriptor.KeyBytes).ToArray(),
            IsLossy(descriptor) ? Loss.Read(text) : null);
        return names.Loss is not null == IsLossy(descriptor);
    }

    private static bool HasPlausibleLengths(ArenaMapping arena, in BlockDescriptor descriptor)
    {
        if (descriptor.PayloadBytes is < 0 or > Protocol.Limits.MaxBlockBytes
            || descriptor.KeyBytes > Protocol.Limits.MaxKeyBytes
            || descriptor.ExtentOffset < 0
            || descriptor.ExtentOffset % Protocol.Limits.GranuleBytes != 0)
        {
            return false;
        }

        var nameBytes = descriptor.TenantBytes + descriptor.ModelBytes + descriptor.RevisionBytes + descriptor.KeyBytes
            + (IsLossy(descriptor) ? Loss.Bytes : 0);
        return descriptor.ExtentBytes == Extent.BytesFor((int)descriptor.PayloadBytes, nameBytes)
            && descriptor.ExtentOffset <= arena.DataBytes - Extent.RoundUp(descriptor.ExtentBytes);
    }

    private static bool IsLossy(in BlockDescriptor descriptor) => (descriptor.Flags & BlockFlags.Lossy) != 0;

    private static Span<byte> Take(ref Span<byte> source, int bytes)
    {
        var taken = source[..bytes];
        source = source[bytes..];
        return taken;
    }
}

/// <summary>The names in a trailer, and what the block lost.</summary>
internal readonly record struct TrailerNames(string Tenant, string Model, string Revision, byte[] Key, Loss? Loss);
