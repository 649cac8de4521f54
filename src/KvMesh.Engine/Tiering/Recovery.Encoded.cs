using KvMesh.Engine.Arena;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Host;
using KvMesh.Protocol.Arena;

namespace KvMesh.Engine.Tiering;

/// <summary>Blocks that an earlier process left encoded in an arena: beside their own extent, or alone.</summary>
internal sealed partial class Recovery
{
    /// <summary>After those that lie as they are: an encoded copy joins its block if it was made of that one's bytes, and stands for it if there is none.</summary>
    private void AdoptEncoded(HostTier host, HashSet<int> adopted)
    {
        var sealedIndexes = Enumerable.Range(0, host.Descriptors.HighWater)
            .Where(index => DescriptorTable.IsIntactEncoded(ref host.Arena.Descriptor(index)))
            .OrderByDescending(index => host.Arena.Descriptor(index).LastUse)
            .ToArray();
        foreach (var index in sealedIndexes)
        {
            if (TryAdoptEncoded(host, index))
            {
                adopted.Add(index);
            }
        }
    }

    private bool TryAdoptEncoded(HostTier host, int index)
    {
        ref var descriptor = ref host.Arena.Descriptor(index);
        if (!TryReadIndex(host, descriptor, out var content)
            || !TryName(host, descriptor with { ExtentBytes = descriptor.ExtentBytes - EncodedIndex.Bytes }, out var names, out var tenant, out var scope))
        {
            return false;
        }

        var block = registry.Index.Find(descriptor.Digest, tenant!, names.Key);
        var isNew = block is null;
        if (block is not null && (block.Encoded is not null || block.PayloadBytes != content.BlockBytes
            || (block.TableChecksum != content.SourceTableChecksum && block.TableChecksum != content.BlockTableChecksum)))
        {
            return false;
        }

        var extent = new Extent(descriptor.ExtentOffset, (int)descriptor.ExtentBytes, index);
        if (!host.TryAdopt(tenant!, extent))
        {
            return false;
        }

        block ??= new Block(scope!, descriptor.Digest, names.Key, content.BlockBytes, FlagsOf(descriptor), descriptor.Parent)
        {
            TableChecksum = content.BlockTableChecksum,
            Loss = content.Loss,
            Hits = descriptor.Hits,
            ExpiresAt = descriptor.ExpiresAt,
            LeaseUntil = descriptor.LeaseUntil,
            LastUse = descriptor.LastUse,
        };
        if (isNew && !Restore(block))
        {
            host.Unadopt(tenant!, extent);
            return false;
        }

        block.Encoded = new EncodedCopy(tenant!, extent, FormOf(descriptor, content), content);
        return true;
    }

    private static bool TryReadIndex(HostTier host, in BlockDescriptor descriptor, out EncodedIndex index)
    {
        index = default;
        var bytes = descriptor.ExtentBytes;
        return bytes is > EncodedIndex.Bytes and <= int.MaxValue
            && descriptor.ExtentOffset >= 0
            && descriptor.ExtentOffset <= host.Arena.DataBytes - Extent.RoundUp(bytes)
            && EncodedIndex.TryRead(host.Arena.Data(descriptor.ExtentOffset, (int)bytes)[^EncodedIndex.Bytes..], out index);
    }

    private static EncodedExtent FormOf(in BlockDescriptor descriptor, in EncodedIndex index) => new(
        (int)descriptor.PayloadBytes, (int)descriptor.ExtentBytes - EncodedIndex.Bytes, descriptor.TableChecksum, descriptor.TrailerChecksum, index.Codec,
        index.Loss is { } loss && index.SourceTableChecksum != index.BlockTableChecksum ? new LossyCopy(index.BlockTableChecksum, loss) : null);
}
