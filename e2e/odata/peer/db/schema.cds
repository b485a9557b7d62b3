namespace sf;

// Names follow SuccessFactors OData v2 (User, EmpEmployment, EmpJob, FODepartment) and S/4HANA's API_BUSINESS_PARTNER.
entity User {
  key userId               : String(100);
      username             : String;
      firstName            : String;
      lastName             : String;
      defaultFullName      : String;
      email                : String;
      title                : String;
      status               : String(2);
      department           : String;
      division             : String;
      location             : String;
      businessPhone        : String;
      hireDate             : DateTime;
      lastModifiedDateTime : Timestamp;
      manager              : Association to User;
      empInfo              : Association to EmpEmployment;
}

entity EmpEmployment {
  key userId     : String(100);
      jobInfoNav : Association to many EmpJob on jobInfoNav.employment = $self;
}

// Effective-dated: of the rows of a person, the one of today counts, and of several that begin on one day the highest seqNumber.
entity EmpJob {
  key employment : Association to EmpEmployment;
  key startDate  : Date;
  key seqNumber  : Integer;
      endDate    : Date;
      jobTitle   : String;
      department : String;
      managerId  : String;
      fte        : Decimal(5, 2);
}

// Base64, as SuccessFactors' Edm.Binary stands in JSON.
entity Photo {
  key photoType : Integer;
  key userId    : String(100);
      photo     : LargeString;
}

entity FODepartment {
  key externalCode         : String;
      name                 : String;
      parent               : String;
      headOfUnit           : String;
      lastModifiedDateTime : Timestamp;
}

entity A_BusinessPartner {
  key BusinessPartner          : String(10);
      BusinessPartnerFullName  : String;
      BusinessPartnerCategory  : String(1);
      BusinessPartnerIsBlocked : Boolean;
      Customer                 : String(10);
      Currency                 : String(3);
      Balance                  : Decimal(15, 2);
      CreditLimit              : Decimal(15, 2);
      LastChangeDate           : Date;
      to_Customer              : Association to A_Customer;
}

entity A_Customer {
  key Customer     : String(10);
      CustomerName : String;
      PaymentTerms : String(4);
}
