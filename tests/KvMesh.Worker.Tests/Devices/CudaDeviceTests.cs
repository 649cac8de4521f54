using System.Runtime.InteropServices;
using System.Security.Cryptography;
using KvMesh.TestKit;
using KvMesh.Worker.Devices;
using KvMesh.Worker.Devices.Cuda;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit.Abstractions;

namespace KvMesh.Worker.Tests.Devices;

/// <summary>
/// The contract on this machine's GPU, call by call; where there is none, that opening says so. Without a GPU the contract runs on the host device, and prints that.
/// </summary>
public sealed class CudaDeviceTests : DeviceContract
{
    public CudaDeviceTests(ITestOutputHelper output)
    {
        if (!HasGpu)
        {
            output.WriteLine("NO GPU on this machine: the contract of devices did not run on CUDA, but on the host device once more.");
        }
    }

    private static bool HasGpu => File.Exists("/dev/nvidiactl") && NativeLibrary.TryLoad("libcuda.so.1", out _);

    [Fact]
    public void A_machine_without_a_GPU_says_so_and_auto_takes_the_host()
    {
        using var any = DeviceChoice.Open("auto", 1 << 20, NullLogger.Instance);
        if (HasGpu)
        {
            Assert.StartsWith("cuda:0", any.Name, StringComparison.Ordinal);
            return;
        }

        Assert.Equal("host", any.Name);
        var failure = Assert.Throws<DeviceException>(() => DeviceChoice.Open("cuda:0", 1 << 20, NullLogger.Instance));
        Assert.NotEmpty(failure.Message);
        Assert.True(failure.Error is DeviceError.NoDevice or DeviceError.Driver, failure.Message);
    }

    [Fact]
    public void A_device_that_does_not_exist_is_an_error()
    {
        Assert.Contains("'gpu' is none", Assert.Throws<ArgumentException>(() => DeviceChoice.Open("gpu", 1, NullLogger.Instance)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => DeviceChoice.Open("cuda:-1", 1, NullLogger.Instance));
        var old = Assert.Throws<DeviceException>(() => new CudaDriver(name => name == "cuMemHostRegister_v2" ? 0 : MemoryDriver.Find(name)));
        Assert.Contains("no cuMemHostRegister_v2", old.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_kernels_are_compiled_from_the_source_beside_them()
    {
        var source = File.ReadAllBytes(Path.Combine(SourceTree.Root, "src/KvMesh.Worker/Devices/Cuda/Kernels/pages.cu"));

        Assert.EndsWith($"// pages.cu {Convert.ToHexStringLower(SHA256.HashData(source))}\n", PageKernels.Source, StringComparison.Ordinal);
        Assert.Contains($"scatter_pages_param_3[{PageKernels.MaxPages * sizeof(int)}]", PageKernels.Source, StringComparison.Ordinal);
        Assert.DoesNotContain(".local", PageKernels.Source, StringComparison.Ordinal);
    }

    private protected override IDevice Create() => HasGpu ? CudaDevice.Open(0) : new KvMesh.Worker.Devices.Host.HostDevice(512 << 20);
}
