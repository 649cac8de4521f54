using System.Globalization;
using KvMesh.Worker.Devices.Cuda;
using KvMesh.Worker.Devices.Host;
using Microsoft.Extensions.Logging;

namespace KvMesh.Worker.Devices;

/// <summary>Opens the device that an option names.</summary>
public static partial class DeviceChoice
{
    /// <summary>Opens a device.</summary>
    /// <param name="name">"host"; "cuda" or "cuda:N", the Nth counted from 0; "auto": the first GPU, or the host where there is none, with a line in the log that says why.</param>
    /// <param name="hostBytes">Memory of the host device.</param>
    /// <param name="log">Told which device it is.</param>
    /// <exception cref="ArgumentException">There is no such name.</exception>
    /// <exception cref="DeviceException">A GPU was named that cannot be opened.</exception>
    public static IDevice Open(string name, long hostBytes, ILogger log)
    {
        ArgumentNullException.ThrowIfNull(name);
        IDevice device = name switch
        {
            "host" => new HostDevice(hostBytes),
            "auto" => OpenAny(hostBytes, log),
            _ => CudaDevice.Open(OrdinalOf(name)),
        };
        LogOpened(log, device.Name, device.Memory.TotalBytes);
        return device;
    }

    private static IDevice OpenAny(long hostBytes, ILogger log)
    {
        try
        {
            return CudaDevice.Open(0);
        }
        catch (DeviceException failure)
        {
            LogNoGpu(log, failure.Message);
            return new HostDevice(hostBytes);
        }
    }

    private static int OrdinalOf(string name)
    {
        if (name == "cuda")
        {
            return 0;
        }

        return name.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out var ordinal)
            ? ordinal
            : throw new ArgumentException($"A device is 'auto', 'host', 'cuda' or 'cuda:N'; '{name}' is none of them.", nameof(name));
    }

    [LoggerMessage(1, LogLevel.Information, "Device {Name} with {Bytes} bytes of memory.")]
    private static partial void LogOpened(ILogger logger, string name, long bytes);

    [LoggerMessage(2, LogLevel.Warning, "No GPU is used, blocks are in the memory of the host: {Reason}")]
    private static partial void LogNoGpu(ILogger logger, string reason);
}
