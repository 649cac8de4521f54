using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvMesh.Client;

namespace KvMesh.Worker.Devices;

/// <summary>Copies blocks of a node to a device, straight out of the arena where memory is shared.</summary>
public static class LeasedCopy
{
    /// <summary>
    /// Queues the copy of a whole block. When the copy is done, and not before, the lease goes back and its generation is compared: true says that the bytes were the
    /// block's throughout; false that they were not, and what the device has there is nothing. The block is this method's from the call on.
    /// </summary>
    /// <param name="stream">Who copies.</param>
    /// <param name="block">The block, opened by itself: one of a run of blocks is given back when the next is asked for.</param>
    /// <param name="target">Where it goes; it has room for it.</param>
    /// <param name="offset">First byte there.</param>
    /// <exception cref="DeviceException">The copy was refused or failed; the lease went back.</exception>
    public static Task<bool> ToDeviceAsync(IDeviceStream stream, LeasedBlock block, DeviceBuffer target, long offset)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(block);
        ArgumentNullException.ThrowIfNull(target);
        return block.IsInPlace ? CopyInPlace(stream, block, target, offset) : CopyReceivedAsync(stream, block, target, offset);
    }

    private static unsafe Task<bool> CopyInPlace(IDeviceStream stream, LeasedBlock block, DeviceBuffer target, long offset)
    {
        // Mapped memory: it does not move, and it stays mapped until the block is released.
        var source = (nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(block.Span));
        var done = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            stream.CopyToDevice(target, offset, source, block.Length);
            stream.WhenDone(failure => End(block, done, failure));
        }
        catch
        {
            EndRefused(stream, block);
            throw;
        }

        return done.Task;
    }

    /// <summary>A block that came over a socket lies in memory of the heap.</summary>
    private static async Task<bool> CopyReceivedAsync(IDeviceStream stream, LeasedBlock block, DeviceBuffer target, long offset)
    {
        using (block)
        using (var pinned = stream.Device.AllocateHost(Math.Max(1, block.Length)))
        {
            block.Span.CopyTo(pinned.Span);
            var done = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
            stream.CopyToDevice(target, offset, pinned.Start, block.Length);
            stream.WhenDone(failure => End(block, done, failure));
            return await done.Task.ConfigureAwait(false);
        }
    }

    /// <summary>Of a copy in parts, some may be queued already.</summary>
    private static void EndRefused(IDeviceStream stream, LeasedBlock block)
    {
        try
        {
            stream.Synchronize();
        }
        finally
        {
            block.Release();
        }
    }

    private static void End(LeasedBlock block, TaskCompletionSource<bool> done, DeviceException? failure)
    {
        var isValid = block.Release();
        if (failure is null)
        {
            done.SetResult(isValid);
        }
        else
        {
            done.SetException(failure);
        }
    }
}
