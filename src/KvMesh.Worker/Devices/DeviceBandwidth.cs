using System.Diagnostics;

namespace KvMesh.Worker.Devices;

/// <summary>What a device copies in a second, measured.</summary>
/// <param name="ToDeviceBytes">Bytes a second from pinned host memory to the device.</param>
/// <param name="ToHostBytes">Bytes a second from the device to pinned host memory.</param>
/// <param name="WithinBytes">Bytes a second from one buffer of the device to another.</param>
public readonly record struct DeviceBandwidth(double ToDeviceBytes, double ToHostBytes, double WithinBytes)
{
    /// <summary>Copies some bytes a few times each way and takes the best time: what the path gives while nobody else uses it.</summary>
    /// <param name="device">The device; it has room for twice the bytes.</param>
    /// <param name="bytes">Bytes of a copy; enough that starting it does not count.</param>
    /// <param name="repeats">Copies each way.</param>
    public static DeviceBandwidth Measure(IDevice device, int bytes = 64 << 20, int repeats = 5)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(repeats);
        using var stream = device.CreateStream();
        using var host = device.AllocateHost(bytes);
        var (one, other) = (device.Allocate(bytes), device.Allocate(bytes));
        try
        {
            host.Span.Fill(1);
            return new DeviceBandwidth(
                Best(() => stream.CopyToDevice(one, 0, host.Start, bytes)),
                Best(() => stream.CopyToHost(host.Start, one, 0, bytes)),
                Best(() => stream.Copy(other, 0, one, 0, bytes)));
        }
        finally
        {
            stream.Synchronize();
            device.Free(one);
            device.Free(other);
        }

        double Best(Action copy)
        {
            var best = double.MaxValue;
            for (var repeat = 0; repeat <= repeats; repeat++)
            {
                var started = Stopwatch.GetTimestamp();
                copy();
                stream.Synchronize();
                best = repeat == 0 ? best : Math.Min(best, Stopwatch.GetElapsedTime(started).TotalSeconds);
            }

            return bytes / best;
        }
    }
}
