using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvMesh.Protocol.Arena;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Engine.Arena;

/// <summary>
/// Hands out the descriptors of one arena. Taking and returning happen under the host tier's space lock; publishing and
/// withdrawing belong to whoever holds the descriptor. The order of the writes is the contract with readers in other
/// processes and with the process that adopts the arena after this one was killed: see <see cref="BlockDescriptor"/>.
/// </summary>
internal sealed class DescriptorTable(ArenaMapping arena)
{
    private readonly Stack<int> _free = new();

    public int HighWater => arena.Header.DescriptorHighWater;

    /// <summary>Whether a descriptor of an earlier process is whole.</summary>
    public static bool IsIntact(ref BlockDescriptor slot) => slot.State == DescriptorState.Sealed && slot.Checksum == ChecksumOf(ref slot);

    /// <summary>As <see cref="IsIntact"/>, of an extent that holds a block encoded.</summary>
    public static bool IsIntactEncoded(ref BlockDescriptor slot) => slot.State == DescriptorState.SealedEncoded && slot.Checksum == ChecksumOf(ref slot);

    /// <summary>Takes a free descriptor, one that was used before if there is any. False at the table's limit, or without memory for more.</summary>
    public bool TryTakeNeedsLock(out int index)
    {
        if (_free.TryPop(out index))
        {
            return true;
        }

        index = HighWater;
        if (index == arena.Header.DescriptorCount || !arena.TryBackDescriptor(index))
        {
            return false;
        }

        arena.Header.DescriptorHighWater = index + 1;
        return true;
    }

    /// <summary>Gives back a descriptor that describes nothing.</summary>
    public void ReturnNeedsLock(int index) => _free.Push(index);

    /// <summary>Writes a descriptor whose bytes and trailer are in place, its state last.</summary>
    public void Publish(int index, in BlockDescriptor values) => Publish(index, values, DescriptorState.Sealed);

    /// <summary>As <see cref="Publish(int, in BlockDescriptor)"/>, of an extent that holds a block encoded.</summary>
    public void PublishEncoded(int index, in BlockDescriptor values) => Publish(index, values, DescriptorState.SealedEncoded);

    /// <summary>
    /// Hides a block that is gone for clients, but whose bytes somebody still reads, from the next process. Its readers go on: they look at the
    /// generation only.
    /// </summary>
    public void Retract(int index) => Volatile.Write(ref StateOf(ref arena.Descriptor(index)), (uint)DescriptorState.Free);

    /// <summary>Ends a descriptor, before its extent may be reused. A reader that looks afterwards sees another generation.</summary>
    public void Withdraw(int index)
    {
        ref var slot = ref arena.Descriptor(index);
        Volatile.Write(ref StateOf(ref slot), (uint)DescriptorState.Free);
        Interlocked.Increment(ref slot.Generation);
    }

    private void Publish(int index, in BlockDescriptor values, DescriptorState state)
    {
        ref var slot = ref arena.Descriptor(index);
        slot = values with { Generation = slot.Generation, State = DescriptorState.Reserved };
        slot.Checksum = ChecksumOf(ref slot);
        Volatile.Write(ref StateOf(ref slot), (uint)state);
    }

    private static ref uint StateOf(ref BlockDescriptor slot) => ref Unsafe.As<DescriptorState, uint>(ref slot.State);

    private static uint ChecksumOf(ref BlockDescriptor slot)
    {
        var bytes = MemoryMarshal.AsBytes(MemoryMarshal.CreateReadOnlySpan(ref slot, 1));
        return Crc32C.Compute(bytes.Slice(BlockDescriptor.ChecksummedOffset, BlockDescriptor.ChecksummedBytes));
    }
}
