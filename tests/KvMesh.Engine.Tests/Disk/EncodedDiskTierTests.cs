namespace KvMesh.Engine.Tests.Disk;

/// <summary>The contract, and damage, with records of encoded blocks on the simulated folder.</summary>
public sealed class EncodedDiskTierTests : SimulatedDiskTierTests
{
    protected override bool HoldsEncoded => true;
}

/// <summary>The contract with records of encoded blocks on a folder of this machine.</summary>
public sealed class EncodedLocalDiskTierTests : LocalDiskTierContract
{
    protected override bool UseDirectIo => true;

    protected override bool HoldsEncoded => true;
}
