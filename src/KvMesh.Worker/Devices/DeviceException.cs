namespace KvMesh.Worker.Devices;

/// <summary>Why a device refused or failed.</summary>
public enum DeviceError
{
    /// <summary>A call of the driver failed; the message names call, code and name of the error.</summary>
    Driver,

    /// <summary>There is no such device on this machine, or no driver.</summary>
    NoDevice,

    /// <summary>The device has no memory left for it.</summary>
    OutOfMemory,

    /// <summary>A buffer was freed before.</summary>
    Freed,

    /// <summary>A copy leaves its buffer.</summary>
    OutOfBounds,

    /// <summary>A buffer or event of another device was given.</summary>
    OtherDevice,
}

/// <summary>A device refused or failed. What a caller does wrong and what the hardware does wrong are told apart by <see cref="Error"/>.</summary>
public sealed class DeviceException : Exception
{
    public DeviceException(DeviceError error, string message)
        : base(message) => Error = error;

    public DeviceException(DeviceError error, string message, Exception cause)
        : base(message, cause) => Error = error;

    public DeviceException()
    {
    }

    public DeviceException(string message)
        : base(message)
    {
    }

    public DeviceException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public DeviceError Error { get; }
}
